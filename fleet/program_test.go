package fleet_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/midwatch-slo/midwatch/fleet"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo/source"
)

// compiled returns the fleet's groups of SLO files.
func compiled(t *testing.T, files ...string) (out []rulefmt.RuleGroup) {
	t.Helper()
	slos, err := source.Load(files)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(slos, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range set.Files {
		if strings.HasPrefix(f.Name, "fleet/") {
			out = append(out, f.Groups...)
		}
	}
	return out
}

// Every group that the compiler makes is evaluated, and asks the clusters once
// for their series; the parameters, which others have at hand, apart.
func TestCompiledGroupsAskOnce(t *testing.T) {
	t.Parallel()
	calendar := filepath.Join(t.TempDir(), "calendar.yaml")
	text, err := os.ReadFile(filepath.Join("..", "testdata", "rules", "fleet", "slo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.NewReplacer("window: 7d", "window: {calendar: month, timezone: Asia/Shanghai}", "window: 30d", "window: {calendar: week, timezone: UTC}").Replace(string(text))
	if err := os.WriteFile(calendar, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	parameter := rulefmt.RuleGroup{Name: "parameters", Rules: []rulefmt.Rule{{Record: "slo:parameter:value", Expr: "vector(1)"}}}
	for _, file := range []string{filepath.Join("..", "testdata", "rules", "fleet", "slo.yaml"), calendar} {
		groups := append([]rulefmt.RuleGroup{parameter}, compiled(t, file)...)
		asks, err := fleet.Asks(groups, []string{"a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		asking := 0
		for name, queries := range asks {
			if len(queries) > 1 {
				t.Errorf("group %s asks %d times: %q", name, len(queries), queries)
			}
			asking += len(queries)
		}
		if asking == 0 || asking > 6 {
			t.Errorf("of %d groups %d ask the clusters", len(groups), asking)
		}
	}
}

// Rules that read the clusters' past are refused: it is not at hand.
func TestRulesThatCannotBeEvaluatedAreRefused(t *testing.T) {
	t.Parallel()
	f, _ := start(t, newWorld(nil, "one").config(t.TempDir()), nil)
	for expr, want := range map[string]string{
		`rate(x[5m])`:                         "only the present value can be read",
		`x offset 5m`:                         "only the present value can be read",
		`max_over_time(x[1h:1m])`:             "only the present value can be read",
		`timestamp(x)`:                        "only the present value can be read",
		`x +`:                                 "parse error",
		`rate(x{scope="fleet"}[5m])`:          "",
		`sum(x) or vector(0)`:                 "",
		`avg_over_time(y{scope="fleet"}[1h])`: "",
	} {
		err := f.Update([]rulefmt.RuleGroup{{Name: "g", Rules: []rulefmt.Rule{{Record: "r", Expr: expr}}}}, nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", expr, err, want)
		}
	}
	unused, err := fleet.New(t.Context(), newWorld(nil, "one").config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(unused.Update(burning(0), nil), unused.Close()); err != nil {
		t.Error(err)
	}
}
