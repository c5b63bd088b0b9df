package rules_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// hostile are scalars that YAML takes for something else, cannot hold as they
// stand, or holds in an own way.
var hostile = []string{
	"null", "~", "true", "off", "y", "0x1f", "1e3", ".inf", "12:30:45", "2026-11-21", "=", "<<", "!!str x", "", " ", "  two", "tail ",
	"- a", "-", "---", "...", "? q", ": v", "key: value", "value # comment", "#c", "a:", "[1]", "{a: b}", "*star", "&anchor", "%d", "@at", "`tick`", "|", ">",
	"'single'", `"double"`, `back\slash`, "tab\there", "\ttab", "a\n", "\na", "a\n\nb", "a \nb", "  a\nb", "a\n  b\n c", "a\r\nb", "\u0085", "\u2028", "a\u2029b\nc",
	"支付服务的可用性", "中文\n  第二行", "\ufeffbom", "emoji 🚨\nnext", "nul\x00byte", "\x7f", "\u200b", "a\tb\nc", "{{ $labels.service }}: {{ $value }}", "sum(rate(x[5m])) # not a comment",
	"sum(x): y", "sum(x):", "f(x) ", "f{a=\"#\"}", "label_replace(a, \"b\", \"c\", \"\", \"\")", "document: true\n...\n---\nother", strings.Repeat("long ", 400),
}

// random returns a group whose texts are of the hostile ones and of those
// that rules are made of.
func random(r *rand.Rand) rulefmt.RuleGroup {
	text := func() string {
		if r.IntN(2) == 0 {
			return hostile[r.IntN(len(hostile))]
		}
		return fmt.Sprintf("slo:sli_errors:rate%dm{slo!=\"\"}\n  or\n    (0 * x_%d)", r.IntN(90), r.IntN(9))
	}
	texts := func() map[string]string {
		m := map[string]string{}
		for range r.IntN(4) {
			m[[]string{"slo", "service", "severity", "on", "y", "a-b", "1", "true", "键", "a: b"}[r.IntN(10)]] = text()
		}
		return m
	}
	g := rulefmt.RuleGroup{Name: text(), Interval: model.Duration(time.Duration(r.IntN(7200)) * time.Second), Limit: r.IntN(2), Labels: texts()}
	if r.IntN(3) == 0 {
		g.QueryOffset = new(model.Duration(time.Minute))
	}
	for range r.IntN(4) {
		rule := rulefmt.Rule{Expr: text(), Labels: texts(), For: model.Duration(r.IntN(3)) * model.Duration(time.Minute)}
		if name := text(); r.IntN(2) == 0 {
			rule.Record = name
		} else {
			rule.Alert, rule.Annotations, rule.KeepFiringFor = name, texts(), model.Duration(r.IntN(2))*model.Duration(time.Hour)
		}
		if rule.Record == "" && rule.Alert == "" {
			rule.Alert = "x"
		}
		g.Rules = append(g.Rules, rule)
	}
	return g
}

func TestWhatIsWrittenReadsBackTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		want := []rulefmt.RuleGroup{random(r), random(r)}
		b, err := rules.File{Name: "midwatch-windows.yaml", Groups: want}.Content()
		if err != nil {
			t.Fatal(err)
		}
		var got rulefmt.RuleGroups
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&got); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		if diff := cmp.Diff(want, got.Groups, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("%s\n%s", diff, b)
		}
	}
}

// What rules are made of is written as the yaml package writes it.
func TestWriterAgainstTheYAMLPackage(t *testing.T) {
	set := compile(t, rules.Options{CatchUp: true}, many(t, 3, "shop")...)
	for _, f := range set.Files {
		var want bytes.Buffer
		enc := yaml.NewEncoder(&want)
		enc.SetIndent(2)
		if err := enc.Encode(rulefmt.RuleGroups{Groups: f.Groups}); err != nil {
			t.Fatal(err)
		}
		got, err := f.Content()
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ = bytes.Cut(got, []byte("\n")) // the header
		if diff := cmp.Diff(want.String(), string(got)); diff != "" {
			t.Error(f.Name, diff)
		}
	}
}

func FuzzContent(f *testing.F) {
	for _, s := range hostile {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		group := rulefmt.RuleGroup{Name: a, Rules: []rulefmt.Rule{{Alert: "x", Expr: b, Labels: map[string]string{a: b}, Annotations: map[string]string{"text": a}}}}
		content, err := rules.File{Name: "midwatch-windows.yaml", Groups: []rulefmt.RuleGroup{group}}.Content()
		if err != nil {
			if utf8.ValidString(a) && utf8.ValidString(b) && len(a) < 200 {
				t.Fatal(err)
			}
			return
		}
		var got rulefmt.RuleGroups
		if err := yaml.Unmarshal(content, &got); err != nil {
			t.Fatalf("%v\n%s", err, content)
		}
		if diff := cmp.Diff([]rulefmt.RuleGroup{group}, got.Groups); diff != "" {
			t.Fatalf("%s\n%s", diff, content)
		}
	})
}

// many returns SLOs of one service.
func many(t *testing.T, n int, service string) []slo.SLO {
	t.Helper()
	one := availability(t, "a", "99.9", func(s *slo.SLO) { s.Service = service })
	var out []slo.SLO
	for i := range n {
		one.Name = fmt.Sprintf("slo-%04d", i)
		out = append(out, one)
	}
	return out
}

func names(s rules.Set) (out []string) {
	for _, f := range s.Files {
		out = append(out, f.Name)
	}
	return out
}

// A service with many SLOs is in files that a ConfigMap and an object hold,
// and another SLO moves none that is there.
func TestALargeServiceIsInParts(t *testing.T) {
	all := many(t, 800, "shop")
	set := compile(t, rules.Options{}, all...).Arranged()
	if got := names(set); len(got) < 5 || got[0] != "midwatch-slo-shop.yaml" || got[1] != "midwatch-slo2-shop.yaml" {
		t.Fatalf("the files are %q", got)
	}
	where := map[string]string{}
	for _, f := range set.Files {
		if b, err := f.Content(); err != nil || len(b) > 1<<20 {
			t.Errorf("%s has %d bytes: %v", f.Name, len(b), err)
		}
		for _, g := range f.Groups {
			where[g.Name] = f.Name
		}
	}
	if len(where) != len(compile(t, rules.Options{}, all...).Groups()) {
		t.Errorf("%d groups are left", len(where))
	}
	moved := func(fewer []slo.SLO) (out []string) {
		for _, f := range compile(t, rules.Options{}, fewer...).Arranged().Files {
			for _, g := range f.Groups {
				if where[g.Name] != f.Name {
					out = append(out, fmt.Sprintf("%s from %q to %s", g.Name, where[g.Name], f.Name))
				}
			}
		}
		return out
	}
	if got := moved(all[:799]); len(got) > 0 {
		t.Errorf("without the last SLO, groups are elsewhere: %q", got)
	}
	if got := moved(all[1:]); len(got) != 1 { // that of the SLOs like it, which has the name of another
		t.Errorf("without the first SLO, groups are elsewhere: %q", got)
	}
}

func TestNamesDifferByMoreThanTheirCase(t *testing.T) {
	long := strings.Repeat("x", 200)
	var slos []slo.SLO
	for _, service := range []string{"shop", "Shop", "SHOP", "Bakery", long} {
		slos = append(slos, many(t, 1, service)...)
	}
	set := compile(t, rules.Options{}, slos...)
	got := names(set.Arranged())
	lower := map[string]bool{}
	for _, name := range got {
		lower[strings.ToLower(name)] = true
		if len(name) > 200 {
			t.Errorf("%q is too long", name)
		}
	}
	if len(lower) != len(set.Files) || !slices.Contains(got, "midwatch-slo-Bakery.yaml") {
		t.Errorf("the files are %q", got)
	}
	dir := t.TempDir()
	if err := set.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	if n := len(contents(t, dir)); n != len(got) {
		t.Errorf("%d files are written, want %d", n, len(got))
	}
}

func TestWriteSaysWhatItDid(t *testing.T) {
	dir := t.TempDir()
	steps := []struct {
		slos []slo.SLO
		want rules.Changes
	}{
		{many(t, 1, "shop"), rules.Changes{Written: []string{"midwatch-slo-shop.yaml", "midwatch-windows.yaml"}}},
		{many(t, 1, "shop"), rules.Changes{Same: 2}},
		{many(t, 2, "shop"), rules.Changes{Written: []string{"midwatch-slo-shop.yaml"}, Same: 1}},
		{many(t, 1, "bakery"), rules.Changes{Written: []string{"midwatch-slo-bakery.yaml"}, Removed: []string{"midwatch-slo-shop.yaml"}, Same: 1}},
	}
	for i, s := range steps {
		got, err := compile(t, rules.Options{}, s.slos...).Write(dir, rules.Output{})
		if diff := cmp.Diff(s.want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("step %d: %v %s", i, err, diff)
		}
	}
}

// folders is a set with files in each of the folders that there may be.
func folders(t *testing.T) rules.Set {
	t.Helper()
	set := compile(t, rules.Options{}, many(t, 1, "shop")...)
	fleet := rulefmt.RuleGroup{Name: "midwatch-fleet", Rules: []rulefmt.Rule{{Record: "a:b", Expr: "sum(x)"}}}
	logs := rulefmt.RuleGroup{Name: "midwatch-logs", Rules: []rulefmt.Rule{{Record: "a:b", Expr: `sum(rate({app="a"} |= "error" [1m]))`}}}
	set.Files = append(set.Files,
		rules.File{Name: "fleet/midwatch-fleet.yaml", Groups: []rulefmt.RuleGroup{fleet}},
		rules.File{Name: "loki/midwatch-logs.yaml", Groups: []rulefmt.RuleGroup{logs}})
	return set
}

func TestFoldersComeAndGo(t *testing.T) {
	dir := t.TempDir()
	if err := folders(t).WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "loki", "other.yaml")
	if err := os.WriteFile(other, []byte("groups: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	changes, err := compile(t, rules.Options{}, many(t, 1, "shop")...).Write(dir, rules.Output{})
	if want := []string{"fleet/midwatch-fleet.yaml", "loki/midwatch-logs.yaml"}; err != nil || !slices.Equal(changes.Removed, want) {
		t.Errorf("removed %q, %v; want %q", changes.Removed, err, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "fleet")); !os.IsNotExist(err) {
		t.Errorf("the folder fleet is left: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Error("another's file is gone")
	}
}

// Nothing is touched before all is ready.
func TestAFileThatCannotBeWrittenChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := compile(t, rules.Options{}, many(t, 1, "shop")...).WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	set := compile(t, rules.Options{}, many(t, 2, "shop")...)
	for name, last := range map[string]rules.File{
		"not UTF-8":        {Name: "midwatch-z.yaml", Groups: []rulefmt.RuleGroup{{Name: "\xff"}}},
		"out of the place": {Name: "../midwatch-z.yaml"},
		"another folder":   {Name: "x/midwatch-z.yaml"},
		"another prefix":   {Name: "fleet/z.yaml"},
	} {
		if err := (rules.Set{Files: append(slices.Clone(set.Files), last)}).WriteDir(dir); err == nil {
			t.Errorf("%s: it is written", name)
		}
		if diff := cmp.Diff(before, contents(t, dir)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// prometheusRule is the object as its definition has it (monitoring.coreos.com/v1,
// kind PrometheusRule), strictly.
type prometheusRule struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name      string            `yaml:"name"`
		Namespace string            `yaml:"namespace"`
		Labels    map[string]string `yaml:"labels"`
	} `yaml:"metadata"`
	Spec struct {
		Groups []struct {
			Name     string `yaml:"name"`
			Interval string `yaml:"interval"`
			Rules    []struct {
				Record      string            `yaml:"record"`
				Alert       string            `yaml:"alert"`
				Expr        string            `yaml:"expr"`
				For         string            `yaml:"for"`
				Labels      map[string]string `yaml:"labels"`
				Annotations map[string]string `yaml:"annotations"`
			} `yaml:"rules"`
		} `yaml:"groups"`
	} `yaml:"spec"`
}

// The patterns that the definition has for its durations and Kubernetes for names.
var (
	crdDuration = regexp.MustCompile(`^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$`)
	dns1123     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
)

func TestOperatorObjects(t *testing.T) {
	set := folders(t)
	for _, service := range []string{"Bakery_2.x", "bakery-2-x", strings.Repeat("long-", 20) + "x"} {
		set.Files = append(set.Files, compile(t, rules.Options{}, many(t, 1, service)...).Files[0])
	}
	dir := t.TempDir()
	output := rules.Output{Format: rules.FormatOperator, Namespace: "monitoring", Labels: map[string]string{"release": "kube-prometheus", "example.com/team": "sre"}}
	if _, err := set.Write(dir, output); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range set.Files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		if f.Logs() {
			continue
		}
		o := object(t, b)
		if seen[o.Metadata.Name] || !dns1123.MatchString(o.Metadata.Name) {
			t.Errorf("the name %q is not one, or there twice", o.Metadata.Name)
		}
		seen[o.Metadata.Name] = true
		want := map[string]string{"release": "kube-prometheus", "example.com/team": "sre", "app.kubernetes.io/managed-by": "midwatch", "midwatch.dev/scope": "cluster"}
		if f.Fleet() {
			want["midwatch.dev/scope"] = "fleet"
		}
		if diff := cmp.Diff(want, o.Metadata.Labels); diff != "" || o.Metadata.Namespace != "monitoring" {
			t.Errorf("%s: namespace %q %s", f.Name, o.Metadata.Namespace, diff)
		}
		if groups := specGroups(t, b); !cmp.Equal(f.Groups, groups, cmpopts.EquateEmpty()) {
			t.Errorf("%s: other groups: %s", f.Name, cmp.Diff(f.Groups, groups, cmpopts.EquateEmpty()))
		}
	}
	if !seen["midwatch-slo-shop"] || !seen["midwatch-windows"] || !seen["midwatch-fleet"] {
		t.Errorf("the names are %q", slices.Sorted(maps.Keys(seen)))
	}
}

func object(t *testing.T, b []byte) (o prometheusRule) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if o.APIVersion != "monitoring.coreos.com/v1" || o.Kind != "PrometheusRule" {
		t.Errorf("it is %s %s", o.APIVersion, o.Kind)
	}
	groups := map[string]bool{}
	for _, g := range o.Spec.Groups {
		if groups[g.Name] || g.Name == "" || !crdDuration.MatchString(g.Interval) {
			t.Errorf("group %q, every %q", g.Name, g.Interval)
		}
		groups[g.Name] = true
		for _, r := range g.Rules {
			if !crdDuration.MatchString(r.For) || (r.Record == "") == (r.Alert == "") {
				t.Errorf("group %q: record %q, alert %q, for %q", g.Name, r.Record, r.Alert, r.For)
			}
		}
	}
	return o
}

// specGroups returns the rules of an object after Prometheus has read them.
func specGroups(t *testing.T, b []byte) []rulefmt.RuleGroup {
	t.Helper()
	var o struct {
		Spec yaml.Node `yaml:"spec"`
	}
	if err := yaml.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(&o.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, parser.NewParser(parser.Options{}), promslog.NewNopLogger())
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return groups.Groups
}

func TestOutputIsChecked(t *testing.T) {
	for want, o := range map[string]rules.Output{
		"none of prometheus":           {Format: "toml"},
		"format prometheus has none":   {Namespace: "a"},
		"format mimir has none":        {Format: rules.FormatMimir, Labels: map[string]string{"a": "b"}},
		"no name of a Kubernetes":      {Format: rules.FormatOperator, Namespace: "A.b"},
		"no label of Kubernetes":       {Format: rules.FormatOperator, Labels: map[string]string{"/a": "b"}},
		"no value of a label":          {Format: rules.FormatOperator, Labels: map[string]string{"a": "b c"}},
		"set by midwatch itself":       {Format: rules.FormatOperator, Labels: map[string]string{"midwatch.dev/scope": "x"}},
		`"-a" is no label of Kubernet`: {Format: rules.FormatOperator, Labels: map[string]string{"-a": ""}},
	} {
		if _, err := folders(t).Write(t.TempDir(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// One file is one namespace, as mimirtool rules load wants it.
func TestMimirNamespaces(t *testing.T) {
	dir := t.TempDir()
	set := folders(t)
	if _, err := set.Write(dir, rules.Output{Format: rules.FormatMimir}); err != nil {
		t.Fatal(err)
	}
	for _, f := range set.Files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Namespace          string `yaml:"namespace"`
			rulefmt.RuleGroups `yaml:",inline"`
		}
		d := yaml.NewDecoder(bytes.NewReader(b))
		d.KnownFields(true)
		if err := d.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSuffix(filepath.Base(f.Name), ".yaml"); got.Namespace != want || !cmp.Equal(f.Groups, got.Groups, cmpopts.EquateEmpty()) {
			t.Errorf("%s: namespace %q, want %q; %s", f.Name, got.Namespace, want, cmp.Diff(f.Groups, got.Groups, cmpopts.EquateEmpty()))
		}
	}
}

// Written one after another, the files are those of a set that is written
// whole; and where one SLO is wrong, nothing is.
func TestCompileToAgainstCompileAndWrite(t *testing.T) {
	slos := slices.Concat(many(t, 700, "shop"), many(t, 2, "Bakery"), many(t, 1, "bakery"))
	one, whole := t.TempDir(), t.TempDir()
	output := rules.Output{Sloth: true}
	changes, err := rules.CompileTo(one, slos, rules.Options{}, output)
	if err != nil {
		t.Fatal(err)
	}
	want, err := compile(t, rules.Options{}, slos...).Write(whole, output)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, changes, cmpopts.EquateEmpty()) + cmp.Diff(contents(t, whole), contents(t, one)); diff != "" {
		t.Error(diff)
	}
	before := contents(t, one)
	broken := slices.Clone(slos)
	broken[5].SLI.Events.Total = "sum(x)"
	fresh := filepath.Join(t.TempDir(), "rules")
	for _, dir := range []string{one, fresh} {
		if _, err := rules.CompileTo(dir, broken, rules.Options{}, output); err == nil {
			t.Error("a total that is no selector is accepted")
		}
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) || !cmp.Equal(before, contents(t, one)) {
		t.Errorf("something is written: %v", err)
	}
}
