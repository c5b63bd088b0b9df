package slo_test

import (
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/slo"
)

const folder = "../testdata/slo"

// exactly compares SLOs with their exact numbers.
var exactly = cmp.Options{
	cmp.Comparer(func(a, b slo.Decimal) bool { return a.String() == b.String() && a.Rat().Cmp(b.Rat()) == 0 }),
	cmp.Comparer(func(a, b *big.Rat) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 }),
	cmp.Comparer(func(a, b slo.Window) bool {
		unitA, zoneA := a.Calendar()
		unitB, zoneB := b.Calendar()
		return a.Duration() == b.Duration() && unitA == unitB && (zoneA == zoneB || zoneA.String() == zoneB.String())
	}),
	cmp.Comparer(func(a, b *time.Location) bool { return a == b || a != nil && b != nil && a.String() == b.String() }),
}

func TestParseKeepsEveryField(t *testing.T) {
	s := parseFile(t, folder+"/valid/payment.yaml")[0]
	if s.Objective.Float64() != 99.95 || s.Window.Duration() != 720*time.Hour {
		t.Errorf("objective %v, window %v", s.Objective.Float64(), s.Window.Duration())
	}
	s.Objective, s.Window = slo.Decimal{}, slo.Window{}
	want := slo.SLO{
		Name: "payment-availability", Service: "payment-service",
		Description: "Payments that the user asked for succeed.",
		Labels:      map[string]string{"team": "payments"},
		Critical:    true,
		Runbook:     "https://runbooks.example.com/payments",
		Logs:        `{namespace="prod", app="payment-service"}`,
		SLI: slo.SLI{Events: &slo.Events{
			Errors: `http_requests_total{app="payment-service",status=~"5.."}`,
			Total:  `http_requests_total{app="payment-service"}`,
		}},
		Scope: slo.ScopeCluster,
		Alerts: slo.Policy{
			Preset: slo.PresetWorkbook, Tiers: slo.WorkbookTiers(),
			MinFailures: slo.DefaultMinFailures, Confidence: slo.DefaultConfidence(),
		},
		File: folder + "/valid/payment.yaml", Line: 4,
	}
	if diff := cmp.Diff(want, s, exactly); diff != "" {
		t.Error(diff)
	}
}

// Each broken file stands beside the problems that it gives.
func TestGoldenProblems(t *testing.T) {
	files, err := filepath.Glob(folder + "/broken/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = slo.Parse(filepath.Base(file), content)
			problems, ok := diag.Of(err)
			if !ok {
				t.Fatalf("want problems, got %v", err)
			}
			var got strings.Builder
			if err := problems.Print(&got); err != nil {
				t.Fatal(err)
			}
			golden.File(t, strings.TrimSuffix(file, ".yaml")+".txt", got.String())
		})
	}
}

// One mistake gives one problem, at its line.
func TestOneMistakeOneProblem(t *testing.T) {
	for name, line := range map[string]int{"unknown-key": 6, "objective-100": 6, "missing-total": 9, "promql": 9, "duplicate": 12} {
		file := folder + "/broken/" + name + ".yaml"
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		slos, err := slo.Parse(file, content)
		problems, _ := diag.Of(err)
		if len(problems) != 1 || problems[0].Line != line {
			t.Errorf("%s: want one problem in line %d, got %v", name, line, err)
		}
		if name == "duplicate" && len(slos) != 1 {
			t.Errorf("the first of two stays, got %d", len(slos))
		}
	}
}

func TestThresholds(t *testing.T) {
	s := slo.SLO{}
	var err error
	if s.Objective, err = slo.ParseDecimal("99.95"); err != nil {
		t.Fatal(err)
	}
	// By hand: the budget is 0.0005.
	want := []string{"0.0072", "0.0030", "0.0015", "0.0005"}
	for i, tier := range slo.WorkbookTiers() {
		if long, short := tier.Thresholds(s); long.FloatString(4) != want[i] || short.Cmp(long) != 0 {
			got := long.FloatString(4)
			t.Errorf("%s: want %s, got %s", tier.Name, want[i], got)
		}
	}
}

// Every example of the manual is an SLO.
func TestExamplesOfTheManual(t *testing.T) {
	for i, example := range examples(t) {
		if slos, err := slo.Parse("slo.md", []byte(example)); err != nil || len(slos) == 0 {
			t.Errorf("example %d: %d SLOs: %v\n%s", i+1, len(slos), err, example)
		}
	}
}

// examples returns the blocks of YAML of the manual.
func examples(t *testing.T) []string {
	t.Helper()
	manual, err := os.ReadFile("../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(manual), "```yaml\n")[1:]
	for i, block := range blocks {
		blocks[i], _, _ = strings.Cut(block, "```")
	}
	if len(blocks) < 2 {
		t.Fatalf("only %d examples", len(blocks))
	}
	return blocks
}

func FuzzParse(f *testing.F) {
	for _, file := range glob(f, "valid/*.yaml", "valid/more/*.yml", "kinds/*.yaml", "broken/*.yaml") {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		slos, err := slo.Parse("fuzz.yaml", content)
		if problems, ok := diag.Of(err); err != nil && (!ok || len(problems) == 0) {
			t.Fatalf("an error without problems: %v", err)
		}
		for _, s := range slos {
			if problem := unfit(s); problem != "" {
				t.Fatalf("%s: %+v", problem, s)
			}
		}
	})
}

// unfit says why an SLO cannot be compiled, "" when it can.
func unfit(s slo.SLO) string {
	i := s.SLI
	kinds := 0
	for _, is := range []bool{i.Events != nil, i.Latency != nil, i.Gauge != nil, i.PromQL != nil, i.Ratio != nil, i.Logs != nil, i.Composite != nil} {
		if is {
			kinds++
		}
	}
	switch {
	case s.Name == "" || s.Service == "" || s.Scope == "":
		return "no name, no service or no scope"
	case s.ErrorBudget().Sign() <= 0 || s.ErrorBudget().Cmp(big.NewRat(1, 1)) >= 0:
		return "no budget"
	case s.Window.Duration() < time.Hour:
		return "no window"
	case kinds != 1:
		return "not one kind of SLI"
	}
	for _, t := range s.Alerts.Tiers {
		if long, _ := t.Thresholds(s); long.Sign() <= 0 || long.Cmp(big.NewRat(1, 1)) >= 0 || t.Short <= 0 || t.Short >= t.Long || t.Long > s.Window.Duration() || t.SeverityOf(s) == "" {
			return "tier " + t.Name + " makes no sense"
		}
	}
	return ""
}

// parseFile reads a file in which nothing is wrong.
func parseFile(t *testing.T, file string) []slo.SLO {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	slos, err := slo.Parse(file, content)
	if err != nil {
		t.Fatal(err)
	}
	return slos
}
