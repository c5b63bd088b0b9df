package rules_test

import (
	"os"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Every example of the manual of the format becomes rules that Prometheus
// takes.
func TestExamplesOfTheManualCompile(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(manual), "```yaml\n")[1:]
	for i, block := range blocks {
		example, _, _ := strings.Cut(block, "```")
		slos, err := slo.Parse("slo.md", []byte(example))
		if err != nil {
			t.Errorf("example %d: %v", i+1, err)
			continue
		}
		dir := t.TempDir()
		if err := compile(t, rules.Options{}, slos...).WriteDir(dir); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
		accepted(t, dir)
	}
	if len(blocks) < 10 {
		t.Errorf("only %d examples", len(blocks))
	}
}
