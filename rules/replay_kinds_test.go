package rules_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// TestEveryKindCanBeReplayed replays the rules of every golden SLO: none reads
// what a replay cannot give.
func TestEveryKindCanBeReplayed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "testdata", "rules", "*", "slo.yaml"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		slos, err := source.Load([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		set := compile(t, rules.Options{}, slos...)
		result, err := replay.Run(t.Context(), replay.Config{
			Groups: promQL(set), Source: replay.NewLocal(&replay.Memory{}),
			Since: epoch, From: epoch, To: epoch.Add(20 * time.Minute), Wanted: func(string) bool { return true },
		})
		if err != nil || len(result.Failures) > 0 {
			t.Errorf("%s: %v, %v", name, result.Failures, err)
		}
	}
}

// promQL returns the groups that a Prometheus evaluates.
func promQL(set rules.Set) (groups []rulefmt.RuleGroup) {
	for _, f := range set.Files {
		if !strings.HasPrefix(f.Name, "loki/") {
			groups = append(groups, f.Groups...)
		}
	}
	return groups
}
