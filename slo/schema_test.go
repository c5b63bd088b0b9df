package slo_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// validator returns the schema, compiled by a library for draft-07.
func validator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(slo.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft7)
	if err := c.AddResource("slo.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("slo.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// validate says what a validator has against a document, as an editor shows it
// one.
func validate(t *testing.T, schema *jsonschema.Schema, n *yaml.Node) error {
	t.Helper()
	return schema.Validate(value(t, n))
}

// value returns a node as JSON has it: a time is a text.
func value(t *testing.T, n *yaml.Node) any {
	t.Helper()
	switch {
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = value(t, n.Content[i+1])
		}
		return m
	case n.Kind == yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			list = append(list, value(t, c))
		}
		return list
	case n.Tag == "!!timestamp":
		return n.Value
	}
	var v any
	if err := n.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// documents returns the documents of a file that are SLOs, by file and name.
func documents(t *testing.T, file string, content []byte) map[string]*yaml.Node {
	t.Helper()
	f, err := yamldoc.Parse(file, content)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]*yaml.Node{}
	for i, n := range f.Docs {
		if yamldoc.Lookup(n, "kind").Value == slo.Kind {
			all[fmt.Sprintf("%s/%d-%s", filepath.Base(file), i+1, yamldoc.Lookup(n, "metadata.name").Value)] = n
		}
	}
	return all
}

// documentsOf returns the documents of files.
func documentsOf(t *testing.T, patterns ...string) map[string]*yaml.Node {
	t.Helper()
	all := map[string]*yaml.Node{}
	for _, file := range glob(t, patterns...) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(all, documents(t, file, content))
	}
	return all
}

func TestSchemaTakesWhatIsValid(t *testing.T) {
	schema := validator(t)
	for name, n := range documentsOf(t, "valid/*.yaml", "valid/more/*.yml", "kinds/*.yaml") {
		if err := validate(t, schema, n); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for i, example := range examples(t) {
		for name, n := range documents(t, fmt.Sprintf("example %d", i+1), []byte(example)) {
			if err := validate(t, schema, n); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The manual has a row for each field of the format, and no field has no
// description.
func TestEveryFieldIsInTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/slo.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for line := range strings.Lines(string(manual)) {
		if strings.HasPrefix(line, "| `") {
			cell, _, _ := strings.Cut(line[1:], "|")
			for i, name := range strings.Split(cell, "`") {
				if i%2 == 1 {
					rows[name[strings.LastIndexByte(name, '.')+1:]] = true
				}
			}
		}
	}
	var doc struct {
		Properties map[string]any
	}
	if err := json.Unmarshal(slo.Schema(), &doc); err != nil {
		t.Fatal(err)
	}
	var walk func(path string, properties map[string]any)
	walk = func(path string, properties map[string]any) {
		for name, of := range properties {
			field := of.(map[string]any)
			if field["description"] == "" || !rows[name] && !slices.Contains([]string{"metadata", "spec"}, name) {
				t.Errorf("%s.%s: described as %q, in the manual: %t", path, name, field["description"], rows[name])
			}
			for _, part := range parts(field) {
				if below, ok := part["properties"].(map[string]any); ok {
					walk(path+"."+name, below)
				}
			}
		}
	}
	walk("", doc.Properties)
}

// parts returns a schema and what it is made of.
func parts(schema map[string]any) []map[string]any {
	all := []map[string]any{schema}
	if items, ok := schema["items"].(map[string]any); ok {
		all = append(all, parts(items)...)
	}
	if choices, ok := schema["oneOf"].([]any); ok {
		for _, choice := range choices {
			all = append(all, parts(choice.(map[string]any))...)
		}
	}
	return all
}

// What a schema can catch, it catches: these broken documents need expressions
// read, numbers compared or files known.
func TestSchemaRefusesWhatItCan(t *testing.T) {
	var passed []string
	schema := validator(t)
	for name, n := range documentsOf(t, "broken/[^n]*.yaml") {
		if validate(t, schema, n) == nil {
			passed = append(passed, name)
		}
	}
	slices.Sort(passed)
	want := []string{
		"alerts.yaml/4-scaled-short", "alerts.yaml/5-workbook-short", "alerts.yaml/6-scaled-low",
		"duplicate.yaml/1-availability", "duplicate.yaml/2-availability",
		"fields.yaml/4-zone",
		"objective-too-low.yaml/1-availability",
		"promql-block.yaml/1-availability",
		"promql.yaml/1-availability",
		"sli.yaml/10-gauge-window", "sli.yaml/13-promql-elsewhere", "sli.yaml/14-promql-mixed", "sli.yaml/15-promql-unclear", "sli.yaml/18-promql-syntax", "sli.yaml/19-ratio", "sli.yaml/21-logs-more", "sli.yaml/22-logs-range", "sli.yaml/6-latency-unit", "sli.yaml/9-gauge-type",
		"windows.yaml/1-window-hours",
	}
	if diff := cmp.Diff(want, passed); diff != "" {
		t.Error(diff)
	}
}

// Whatever key of a valid file is left out or misspelt, schema and parser agree
// whether that is still valid. Only the parser knows what fields together need.
func TestSchemaAgreesWithTheParser(t *testing.T) {
	schema := validator(t)
	var odd []string
	for name, root := range documentsOf(t, "valid/payment.yaml", "kinds/*.yaml") {
		eachKey(root, "", func(n *yaml.Node, i int, path string) {
			key, content := n.Content[i].Value, n.Content
			n.Content = slices.Concat(content[:i], content[i+2:])
			odd = append(odd, compare(t, schema, root, name+": without "+path)...)
			n.Content = content
			n.Content[i].Value = key + "x"
			odd = append(odd, compare(t, schema, root, name+": misspelt "+path)...)
			n.Content[i].Value = key
		})
	}
	slices.Sort(odd)
	want := []string{"promql.yaml/3-deltas: without spec.sli.promql.unit"}
	if diff := cmp.Diff(want, odd); diff != "" {
		t.Error(diff)
	}
}

// eachKey visits every key of every mapping below a node.
func eachKey(n *yaml.Node, path string, visit func(n *yaml.Node, i int, path string)) {
	for i := 0; i < len(n.Content); i++ {
		below := path
		if n.Kind == yaml.MappingNode {
			below = strings.TrimPrefix(path+"."+n.Content[i].Value, ".")
			visit(n, i, below)
			i++
		}
		eachKey(n.Content[i], below, visit)
	}
}

// compare names a change if the schema and the parser judge it differently.
func compare(t *testing.T, schema *jsonschema.Schema, root *yaml.Node, change string) []string {
	t.Helper()
	text, err := yaml.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = slo.Parse("changed.yaml", text)
	schemaErr := validate(t, schema, root)
	switch {
	case schemaErr != nil && err == nil:
		t.Errorf("%s: the schema alone refuses it: %v", change, schemaErr)
	case schemaErr == nil && err != nil:
		return []string{change}
	}
	return nil
}
