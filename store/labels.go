package store

import (
	"encoding/json"
	"strings"

	"github.com/prometheus/common/model"
)

// labels scans a label set from JSON; null is none. Alerts are read by the
// ten thousand, and most have no character that JSON escapes.
type labels struct{ to *model.LabelSet }

// Scan decodes JSON.
func (l labels) Scan(v any) error {
	text, ok := v.(string)
	if !ok {
		return document{l.to}.Scan(v)
	}
	set, ok := plainLabels(text)
	if !ok {
		return json.Unmarshal([]byte(text), l.to)
	}
	*l.to = set
	return nil
}

// plainLabels reads an object of strings without escapes, as json.Marshal
// writes it; ok is false for all else.
func plainLabels(text string) (set model.LabelSet, ok bool) {
	if text == "{}" {
		return model.LabelSet{}, true
	}
	rest, ok := strings.CutPrefix(text, "{")
	if !ok || strings.IndexByte(text, '\\') >= 0 {
		return nil, false
	}
	set = make(model.LabelSet, strings.Count(text, `":"`))
	for {
		name, after, ok := quoted(rest)
		if !ok {
			return nil, false
		}
		if after, ok = strings.CutPrefix(after, ":"); !ok {
			return nil, false
		}
		value, after, ok := quoted(after)
		if !ok {
			return nil, false
		}
		set[model.LabelName(name)] = model.LabelValue(value)
		switch {
		case after == "}":
			return set, true
		case !strings.HasPrefix(after, ","):
			return nil, false
		}
		rest = after[1:]
	}
}

// quoted cuts a string in quotes from the beginning of a text.
func quoted(text string) (inside, after string, ok bool) {
	if text, ok = strings.CutPrefix(text, `"`); !ok {
		return "", "", false
	}
	return strings.Cut(text, `"`)
}
