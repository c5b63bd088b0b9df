package yamldoc_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

type document struct {
	Name  string            `yaml:"name"`
	Count int               `yaml:"count"`
	On    bool              `yaml:"on"`
	Tags  map[string]string `yaml:"tags"`
	Users []struct {
		Name string `yaml:"name"`
	} `yaml:"users"`
	Key   secret.Secret `yaml:"key"`
	Other secret.Secret `yaml:"other"`
}

func TestDecodeReportsEverything(t *testing.T) {
	const text = `name: 7
conut: 3
count: many
on: [1]
tags: {a: b, a: c, d: 1}
users:
  - name: x
    age: 3
  - just
name: twice
key: {file: key.txt}
other: [key.txt]
`
	f, err := yamldoc.Parse("a.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out document
	got := f.Decode(f.Docs[0], &out)
	want := []string{
		`a.yaml:1:7: name: want a string, found int (quote it: "7")`,
		`a.yaml:2:1: conut: unknown key "conut" (did you mean "count"?)`,
		`a.yaml:3:8: count: want a whole number, found "many"`,
		`a.yaml:4:5: on: want true or false, found a list`,
		`a.yaml:5:14: tags.a: key "a" is given twice (the first is in line 5)`,
		`a.yaml:5:23: tags.d: want a string, found int (quote it: "1")`,
		`a.yaml:8:5: users.0.age: unknown key "age" (known here: name)`,
		`a.yaml:9:5: users.1: want a mapping, found "just"`,
		`a.yaml:10:1: name: key "name" is given twice (the first is in line 1)`,
		`a.yaml:11:6: key: want a string, found a mapping`,
		`a.yaml:12:8: other: want a string, found a list`,
	}
	if diff := cmp.Diff(strings.Join(want, "\n"), got.Error()); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"a: [":                                 "a.yaml:1: not YAML: did not find expected node content",
		"a: &x 1\nb: *x":                       "a.yaml:2:4: aliases are not allowed (write the value out)",
		"a: " + strings.Repeat("[", 70):        "a.yaml:1: not YAML",
		strings.Repeat("- ", 70) + "deep\n":    "a.yaml:1:131: nested deeper than 64 levels",
		"a: 1\n---\nb: {\n---\nc: 2\n":         "a.yaml:",
		"name: x\n  indented: wrongly\nb: 1\n": "a.yaml:2: not YAML: mapping values are not allowed in this context",
	} {
		_, err := yamldoc.Parse("a.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: want %s, got %v", text, want, err)
		}
	}
}

func TestLookup(t *testing.T) {
	f, err := yamldoc.Parse("a.yaml", []byte("users:\n  - name: x\n  - name: y\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, line := range map[string]int{"users.1.name": 3, "users.1.age": 3, "users.7": 2, "none": 1} {
		if n := yamldoc.Lookup(f.Docs[0], path); n.Line != line {
			t.Errorf("%s: want line %d, got %d", path, line, n.Line)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"name: x\ncount: 1\n", "users: [{name: a}, {}]", "tags: {? [a] : b}", "<<: {name: y}", "a: !!binary x", "!x {on: ~}", "--- \n...\n---\nname: |\n  a\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := yamldoc.Parse("a.yaml", content)
		if err != nil {
			if _, ok := diag.Of(err); !ok {
				t.Fatalf("not a problem: %v", err)
			}
			return
		}
		for _, n := range file.Docs {
			var out document
			for _, p := range file.Decode(n, &out) {
				if p.File != "a.yaml" || p.Message == "" {
					t.Fatalf("a problem without place or message: %+v", p)
				}
			}
		}
	})
}
