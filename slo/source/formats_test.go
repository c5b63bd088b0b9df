package source_test

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
)

const data = "../../testdata/"

// exactly compares SLOs with their exact numbers.
var exactly = cmp.Options{
	cmp.Comparer(func(a, b slo.Decimal) bool { return a.String() == b.String() && a.Rat().Cmp(b.Rat()) == 0 }),
	cmp.Comparer(func(a, b *big.Rat) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 }),
	cmp.Comparer(func(a, b slo.Window) bool {
		unit, zone := a.Calendar()
		otherUnit, otherZone := b.Calendar()
		return a.Duration() == b.Duration() && unit == otherUnit && zone.String() == otherZone.String()
	}),
	cmp.Comparer(func(a, b *time.Location) bool { return a == b || a != nil && b != nil && a.String() == b.String() }),
}

// cases returns the files of each format, and folders of files that go
// together.
func cases(tb testing.TB) (paths []string) {
	tb.Helper()
	for _, format := range []string{"openslo", "sloth", "pyrra"} {
		entries, err := os.ReadDir(data + format)
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range entries {
			if e.IsDir() || strings.HasSuffix(e.Name(), ".yaml") {
				paths = append(paths, data+format+"/"+e.Name())
			}
		}
	}
	return paths
}

// Each file of another tool stands beside what it is in the native format, or
// the problems that it gives.
func TestGoldenFormats(t *testing.T) {
	for _, path := range cases(t) {
		t.Run(strings.TrimPrefix(path, data), func(t *testing.T) {
			content := source.Read([]string{path})
			var b strings.Builder
			for i, s := range content.SLOs {
				if i > 0 {
					b.WriteString("---\n")
				}
				doc, err := s.YAML()
				if err != nil {
					t.Fatal(err)
				}
				b.Write(doc)
			}
			if content.Parts > 0 {
				fmt.Fprintf(&b, "# %d for SLOs to use\n", content.Parts)
			}
			if err := content.Problems.Print(&b); err != nil {
				t.Fatal(err)
			}
			golden.File(t, strings.TrimSuffix(path, ".yaml")+".golden", strings.ReplaceAll(b.String(), data, ""))
		})
	}
}

// What is converted says what the file of the other tool says.
func TestConvertedIsTheSame(t *testing.T) {
	read := 0
	for _, path := range cases(t) {
		for _, s := range source.Read([]string{path}).SLOs {
			sameWhenConverted(t, s)
			read++
		}
	}
	if read < 40 {
		t.Errorf("only %d SLOs", read)
	}
}

// sameWhenConverted reads the YAML of an SLO and compares it with the SLO.
func sameWhenConverted(t *testing.T, s source.SLO) {
	t.Helper()
	doc, err := s.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got, err := slo.Parse("converted.yaml", doc)
	if err != nil || len(got) != 1 {
		t.Fatalf("%s: %d SLOs: %v\n%s", s.ID(), len(got), err, doc)
	}
	want := s.SLO
	for _, place := range []*slo.SLO{&want, &got[0]} {
		place.File, place.Line = "", 0
	}
	if diff := cmp.Diff(want, got[0], exactly); diff != "" {
		t.Errorf("%s: %s\n%s", s.ID(), diff, doc)
	}
}

// The order is that of files and documents, whatever their formats.
func TestOrderOverFormats(t *testing.T) {
	const text = `
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: first}
spec: {target: "99.9", window: 30d, indicator: {ratio: {errors: {metric: failures_total}, total: {metric: calls_total}}}}
---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: second}
spec: {service: second, objective: 99.9, sli: {events: {errors: failures_total, total: calls_total}}}
---
version: prometheus/v1
service: third
slos: [{name: third, objective: 99.9, sli: {raw: {error_ratio_query: 'errors:ratio'}}, alerting: {name: A}}]
---
apiVersion: openslo/v1
kind: SLO
metadata: {name: fourth}
spec:
  service: fourth
  indicator: {metadata: {name: i}, spec: {ratioMetric: {counter: true, bad: {metricSource: {type: Prometheus, spec: {query: failures_total}}}, total: {metricSource: {type: Prometheus, spec: {query: calls_total}}}}}}
  budgetingMethod: Occurrences
  objectives: [{target: 0.999}]
`
	slos, err := source.Parse("mixed.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range slos {
		got = append(got, s.ID())
	}
	if want := []string{"first/first", "second/second", "third/third", "fourth/fourth"}; !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}

// One name and service in two formats are two SLOs of one name.
func TestDuplicateOverFormats(t *testing.T) {
	const text = `
version: prometheus/v1
service: shop
slos: [{name: calls, objective: 99.9, sli: {raw: {error_ratio_query: 'errors:ratio'}}, alerting: {name: A}}]
---
apiVersion: pyrra.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: calls, labels: {pyrra.dev/service: shop}}
spec: {target: "99.9", window: 30d, indicator: {ratio: {errors: {metric: failures_total}, total: {metric: calls_total}}}}
`
	_, err := source.Parse("two.yaml", []byte(text))
	if want := "two.yaml:8:18: metadata.name: SLO shop/calls is already in two.yaml, line 4 (name and service together are unique: rename one or remove it)"; err == nil || err.Error() != want {
		t.Errorf("want %s, got %v", want, err)
	}
}

// Files that hold only what SLOs use are no SLOs.
func TestPartsAlone(t *testing.T) {
	path := filepath.Join(data, "openslo", "references", "parts.yaml")
	if c := source.Read([]string{path}); c.Parts != 7 || len(c.SLOs) != 0 || len(c.Problems) != 0 {
		t.Errorf("%d parts, %d SLOs, %v", c.Parts, len(c.SLOs), c.Problems)
	}
	if _, err := source.Load([]string{path}); err == nil || !strings.Contains(err.Error(), "no SLO found (what is there is for SLOs to refer to") {
		t.Errorf("got %v", err)
	}
}

// A file that is made to be costly is refused before it is.
func TestHostileFiles(t *testing.T) {
	const million = 1_000_000
	parens := strings.Repeat("(", million) + "up" + strings.Repeat(")", million)
	for name, c := range map[string]struct{ text, want string }{
		"sloth query":        {"version: prometheus/v1\nservice: a\nslos: [{name: a, objective: 99, sli: {raw: {error_ratio_query: '" + parens + "'}}, alerting: {name: A}}]", "longer than 4000 bytes"},
		"pyrra metric":       {"apiVersion: pyrra.dev/v1alpha1\nkind: ServiceLevelObjective\nmetadata: {name: a}\nspec: {target: 99, window: 30d, indicator: {latency: {success: {metric: '" + parens + "'}, total: {metric: a_count}}}}", "longer than 4000 bytes"},
		"objectives":         {"apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {objectives: [" + strings.Repeat("{},", million/5) + "]}", "200000 objectives"},
		"slos":               {"version: prometheus/v1\nservice: a\nslos: [" + strings.Repeat("{},", million/5) + "]", "more than 1000 SLOs"},
		"objects":            {"[" + strings.Repeat("{},", million/5) + "]", "more than 10000 objects"},
		"policies of an SLO": {"apiVersion: openslo/v1\nkind: SLO\nmetadata: {name: a}\nspec: {objectives: [{target: 0.9}], alertPolicies: [" + strings.Repeat("{alertPolicyRef: p},", million/10) + "]}", "more than 50"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := source.Parse("hostile.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want %q, got %.200v", c.want, err)
			}
		})
	}
}
