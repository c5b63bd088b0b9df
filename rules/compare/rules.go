package compare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/rogpeppe/go-internal/diff"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// RulesChange is what is different in the rules.
type RulesChange struct {
	Before  int `json:"before"` // rules in all
	After   int `json:"after"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
	Changed int `json:"changed"`
	// Unified is the unified diff of the rule files.
	Unified string `json:"-"`
}

func (c RulesChange) nothing() bool { return c.Unified == "" }

func ruleChanges(before, after []slo.SLO, o rules.Options) (RulesChange, error) {
	old, err := compiled(before, o)
	if err != nil {
		return RulesChange{}, fmt.Errorf("old: %w", err)
	}
	current, err := compiled(after, o)
	if err != nil {
		return RulesChange{}, fmt.Errorf("new: %w", err)
	}
	c := RulesChange{Before: len(old.rules), After: len(current.rules)}
	for key, rule := range current.rules {
		switch was, known := old.rules[key]; {
		case !known:
			c.Added++
		case was != rule:
			c.Changed++
		}
	}
	c.Removed = c.Before + c.Added - c.After
	c.Unified, err = unified(old.files, current.files)
	return c, err
}

// ruleSet is rules by what names them, and files by their names.
type ruleSet struct {
	rules map[string]string
	files map[string][]byte
}

func compiled(slos []slo.SLO, o rules.Options) (ruleSet, error) {
	out := ruleSet{rules: map[string]string{}, files: map[string][]byte{}}
	if len(slos) == 0 {
		return out, nil
	}
	set, err := rules.Compile(slos, o)
	if err != nil {
		return out, err
	}
	for _, f := range set.Files {
		if out.files[f.Name], err = f.Content(); err != nil {
			return out, err
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				out.add(g, r)
			}
		}
	}
	return out, nil
}

// add notes a rule under its group, name and labels; one of the same is
// counted beside it.
func (s ruleSet) add(g rulefmt.RuleGroup, r rulefmt.Rule) {
	key := fmt.Sprintf("%s %s %v", g.Name, cmp.Or(r.Record, r.Alert), r.Labels)
	for n := 2; ; n++ {
		if _, known := s.rules[key]; !known {
			break
		}
		key = fmt.Sprintf("%s %d", strings.TrimSuffix(key, fmt.Sprintf(" %d", n-1)), n)
	}
	s.rules[key] = fmt.Sprintf("%s %s %s %s %v", r.Expr, g.Interval, r.For, r.KeepFiringFor, r.Annotations)
}

// unified returns the unified diff of files by their names.
func unified(before, after map[string][]byte) (string, error) {
	all := map[string]bool{}
	for name := range before {
		all[name] = true
	}
	for name := range after {
		all[name] = true
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text := diff.Diff("old/"+name, before[name], "new/"+name, after[name])
		if _, err := b.Write(text); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}
