package rules_test

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// vmalert reads what every kind of SLO becomes, but for native histograms,
// which VictoriaMetrics does not have.
func TestVmalertReadsTheRules(t *testing.T) {
	vmalert, err := servers.Binary("vmalert")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../testdata/rules/*/slo.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		slos, err := source.Load([]string{file})
		if err != nil {
			t.Fatal(err)
		}
		set := compile(t, rules.Options{CatchUp: true}, slos...)
		dir := t.TempDir()
		_, err = set.Write(dir, rules.Output{Format: rules.FormatVictoriaMetrics})
		if strings.Contains(file, "native") {
			if err == nil || !strings.Contains(err.Error(), "reads a native histogram, which VictoriaMetrics does not have") {
				t.Errorf("%s: %v", file, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range []string{dir, filepath.Join(dir, "fleet")} {
			if found, err := filepath.Glob(filepath.Join(folder, "*.yaml")); err != nil || len(found) == 0 {
				continue
			}
			out, err := exec.CommandContext(t.Context(), vmalert, "-dryRun", "-rule.validateTemplates", "-rule="+filepath.Join(folder, "*.yaml")).CombinedOutput()
			if err != nil || bytes.Contains(out, []byte("error")) {
				t.Errorf("%s: %v\n%s", file, err, out)
			}
		}
	}
}
