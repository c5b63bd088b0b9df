package slo

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// Schema returns a JSON Schema (draft-07) of the native format, for editors.
// It is made from Document and refuses what can be told without reading
// expressions, durations and times. What it refuses Check refuses too, but for
// an empty value in place of none.
func Schema() []byte {
	b := schemaBuilder{facts: facts()}
	root := b.object(reflect.TypeFor[Document](), "")
	root.Schema, root.Title = "http://json-schema.org/draft-07/schema#", Kind
	text, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // a constant of this package
	}
	return append(text, '\n')
}

// schema is a JSON Schema, as far as it is used here. The names are the
// specification's.
type schema struct {
	Schema           string              `json:"$schema,omitempty"`
	Title            string              `json:"title,omitempty"`
	Description      string              `json:"description,omitempty"`
	Type             any                 `json:"type,omitempty"`
	Enum             []string            `json:"enum,omitempty"`
	Pattern          string              `json:"pattern,omitempty"`
	MinLength        int                 `json:"minLength,omitempty"`
	MaxLength        int                 `json:"maxLength,omitempty"`
	Minimum          *float64            `json:"minimum,omitempty"`
	ExclusiveMinimum *float64            `json:"exclusiveMinimum,omitempty"`
	Maximum          *float64            `json:"maximum,omitempty"`
	ExclusiveMaximum *float64            `json:"exclusiveMaximum,omitempty"`
	Items            *schema             `json:"items,omitempty"`
	UniqueItems      bool                `json:"uniqueItems,omitempty"`
	MinItems         int                 `json:"minItems,omitempty"`
	MaxItems         int                 `json:"maxItems,omitempty"`
	Properties       map[string]*schema  `json:"properties,omitempty"`
	PropertyNames    *schema             `json:"propertyNames,omitempty"`
	Required         []string            `json:"required,omitempty"`
	MinProperties    int                 `json:"minProperties,omitempty"`
	MaxProperties    int                 `json:"maxProperties,omitempty"`
	Additional       any                 `json:"additionalProperties,omitempty"`
	Dependencies     map[string][]string `json:"dependencies,omitempty"`
	AnyOf            []*schema           `json:"anyOf,omitempty"`
	OneOf            []*schema           `json:"oneOf,omitempty"`
	Not              *schema             `json:"not,omitempty"`
	Default          any                 `json:"default,omitempty"`
}

// schemaBuilder makes schemas of types and what is known of their fields.
type schemaBuilder struct{ facts map[string]fieldFacts }

// of returns the schema of a field.
func (b schemaBuilder) of(t reflect.Type, path string) *schema {
	f, ok := b.facts[path]
	if !ok {
		panic(fmt.Sprintf("nothing is known of the field %q", path)) // a mistake in this package
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s := b.typed(t, path, f)
	s.Description, s.Default = f.about, f.otherwise
	return s
}

func (b schemaBuilder) typed(t reflect.Type, path string, f fieldFacts) *schema {
	switch t {
	case reflect.TypeFor[Number]():
		return number(f)
	case reflect.TypeFor[WindowText]():
		return &schema{OneOf: []*schema{text(f), b.object(t, path)}}
	case reflect.TypeFor[BudgetSpentText]():
		return &schema{OneOf: []*schema{number(b.facts[path+".percent"]), b.object(t, path)}}
	}
	switch t.Kind() {
	case reflect.Struct:
		return b.object(t, path)
	case reflect.Slice:
		return b.list(t, path, f)
	case reflect.Map:
		names := &schema{Pattern: labelPatternText, Not: &schema{Enum: reserved}}
		return &schema{Type: "object", PropertyNames: names, MaxProperties: f.most, Additional: &schema{Type: "string", MinLength: 1}}
	case reflect.Bool:
		return &schema{Type: "boolean"}
	case reflect.Int:
		s := &schema{Type: "integer"}
		bounds(s, f)
		return s
	default:
		return text(f)
	}
}

// list returns the schema of a list, whose facts are those of its items where
// they are texts.
func (b schemaBuilder) list(t reflect.Type, path string, f fieldFacts) *schema {
	s := &schema{Type: "array", MinItems: f.least, MaxItems: f.most}
	if t.Elem().Kind() == reflect.String {
		s.Items, s.UniqueItems = text(fieldFacts{pattern: f.pattern}), true
		s.Items.Not = &schema{Enum: reserved}
		return s
	}
	s.Items = b.typed(t.Elem(), path, fieldFacts{})
	return s
}

// object returns the schema of a struct: its fields, and which of them it must
// have.
func (b schemaBuilder) object(t reflect.Type, path string) *schema {
	s := &schema{Type: "object", Description: b.facts[path].about, Properties: map[string]*schema{}, Additional: false}
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		s.Properties[name] = b.of(field.Type, strings.TrimPrefix(path+"."+name, "."))
		if options == "" {
			s.Required = append(s.Required, name)
		}
	}
	together(s, t)
	return s
}

// together says which fields of a struct go together.
func together(s *schema, t reflect.Type) {
	switch t {
	case reflect.TypeFor[SLIText]():
		s.MinProperties, s.MaxProperties = 1, 1
	case reflect.TypeFor[EventsText](), reflect.TypeFor[PromQLText](), reflect.TypeFor[RatioText]():
		s.OneOf = either([]string{"errors"}, []string{"good"})
	case reflect.TypeFor[LatencyText]():
		s.OneOf = either([]string{"histogram"}, []string{"native"})
	case reflect.TypeFor[TierText]():
		s.OneOf = either([]string{"burn_rate"}, []string{"budget_percent"})
	case reflect.TypeFor[ExclusionText]():
		s.OneOf = either([]string{"from", "to"}, []string{"cron", "duration"})
		s.OneOf[0].Not = &schema{AnyOf: either([]string{"cron"}, []string{"duration"}, []string{"timezone"})}
		s.OneOf[1].Not = &schema{AnyOf: either([]string{"from"}, []string{"to"})}
	case reflect.TypeFor[WindowText]():
		s.Dependencies = map[string][]string{"timezone": {"calendar"}}
	case reflect.TypeFor[AlertsText]():
		s.Not = &schema{Required: []string{"preset", "tiers"}}
	}
}

// either returns a schema for each set of fields that there may be.
func either(sets ...[]string) []*schema {
	var all []*schema
	for _, set := range sets {
		all = append(all, &schema{Required: set})
	}
	return all
}

// text returns the schema of a text.
func text(f fieldFacts) *schema {
	return &schema{Type: "string", Enum: f.choices, Pattern: f.pattern, MinLength: f.least, MaxLength: f.most}
}

// number returns the schema of a number that keeps its digits: written as a
// number, or as the same text in quotes.
func number(f fieldFacts) *schema {
	pattern := f.pattern
	if pattern == "" {
		pattern = decimalPatternText
	}
	if f.pattern == goodPatternText {
		return &schema{Type: "string", Pattern: pattern}
	}
	s := &schema{Type: []string{"number", "string"}, Pattern: pattern}
	bounds(s, f)
	return s
}

// bounds says how low and how high a number may be.
func bounds(s *schema, f fieldFacts) {
	if f.from {
		s.Minimum = &f.low
	} else {
		s.ExclusiveMinimum = &f.low
	}
	switch {
	case f.high == 0:
	case f.below:
		s.ExclusiveMaximum = &f.high
	default:
		s.Maximum = &f.high
	}
}
