// Package compare says what a change of SLO files changes: in the SLOs field
// by field, in the rules, and in who gets woken when. It reads no files and
// evaluates nothing; times are those of package explain.
package compare

import (
	"cmp"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/explain"
	"github.com/midwatch-slo/midwatch/slo"
)

// Diff is what is different between two sets of SLOs.
type Diff struct {
	Lost    []Wake      `json:"lost_pages"` // pages that nobody gets any more
	Added   []string    `json:"added"`      // SLOs, as service/name
	Removed []string    `json:"removed"`
	Renamed []Rename    `json:"renamed"`
	Changed []Change    `json:"changed"`
	Wakes   []Wake      `json:"wakes"` // every change in who gets woken, lost pages among them
	Rules   RulesChange `json:"rules"`
}

// Rename is an SLO that has another name and counts the same.
type Rename struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Change is what is different in one SLO.
type Change struct {
	SLO    string  `json:"slo"`
	Fields []Field `json:"fields"`
	// Anew says which recorded series have no history, or one of something
	// else, and why.
	Anew []string `json:"begins_anew,omitempty"`
}

// Field is one field, as text; "" is not given.
type Field struct {
	Name string `json:"field"`
	Old  string `json:"old"`
	New  string `json:"new"`
}

// Nothing says whether nothing is different.
func (d Diff) Nothing() bool {
	return len(d.Added)+len(d.Removed)+len(d.Renamed)+len(d.Changed)+len(d.Wakes) == 0 && d.Rules.nothing()
}

// SLOs compares two sets of SLOs, under the same options.
func SLOs(before, after []slo.SLO, o rules.Options) (Diff, error) {
	d := Diff{Lost: []Wake{}, Added: []string{}, Removed: []string{}, Renamed: []Rename{}, Changed: []Change{}, Wakes: []Wake{}}
	pairs := match(before, after)
	for _, p := range pairs {
		switch {
		case p.old == nil:
			d.Added = append(d.Added, p.new.ID())
		case p.new == nil:
			d.Removed = append(d.Removed, p.old.ID())
		case p.old.ID() != p.new.ID():
			d.Renamed = append(d.Renamed, Rename{From: p.old.ID(), To: p.new.ID()})
		}
		if p.old != nil && p.new != nil {
			if c := changed(*p.old, *p.new); len(c.Fields) > 0 || len(c.Anew) > 0 {
				d.Changed = append(d.Changed, c)
			}
		}
		d.Wakes = append(d.Wakes, wakes(p, explain.Pace{Scrape: o.ScrapeInterval, Interval: o.Interval})...)
	}
	for _, w := range d.Wakes {
		if w.Lost {
			d.Lost = append(d.Lost, w)
		}
	}
	var err error
	d.Rules, err = ruleChanges(before, after, o)
	return d, err
}

// pair is an SLO before and after; one of them may be nil.
type pair struct{ old, new *slo.SLO }

func (p pair) id() string {
	if p.new != nil {
		return p.new.ID()
	}
	return p.old.ID()
}

// match pairs SLOs by their IDs, and those that are left where they count the
// same in the same way.
func match(before, after []slo.SLO) []pair {
	now := map[string]*slo.SLO{}
	for i := range after {
		now[after[i].ID()] = &after[i]
	}
	var pairs []pair
	gone := map[string][]*slo.SLO{} // by what they count
	for i := range before {
		s := &before[i]
		if current, there := now[s.ID()]; there {
			pairs = append(pairs, pair{s, current})
			delete(now, s.ID())
			continue
		}
		gone[counts(*s)] = append(gone[counts(*s)], s)
	}
	for i := range after {
		s := &after[i]
		if now[s.ID()] == nil {
			continue
		}
		p := pair{new: s}
		if like := gone[counts(*s)]; len(like) > 0 {
			p.old, gone[counts(*s)] = like[0], like[1:]
		}
		pairs = append(pairs, p)
	}
	for _, rest := range gone {
		for _, s := range rest {
			pairs = append(pairs, pair{old: s})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Or(cmp.Compare(a.id(), b.id()), cmp.Compare(a.was(), b.was())) })
	return pairs
}

// was returns the ID of the old SLO, "" when there was none.
func (p pair) was() string {
	if p.old == nil {
		return ""
	}
	return p.old.ID()
}

// changed returns the fields that differ, and what begins anew.
func changed(before, after slo.SLO) Change {
	c := Change{SLO: after.ID()}
	old, current := fields(before), fields(after)
	for _, name := range names(old, current) {
		if old.values[name] != current.values[name] {
			c.Fields = append(c.Fields, Field{Name: name, Old: old.values[name], New: current.values[name]})
		}
	}
	c.Anew = anew(before, after)
	return c
}

// anew says which recorded series begin anew.
func anew(before, after slo.SLO) (out []string) {
	switch {
	case before.ID() != after.ID():
		out = append(out, "all its series: they are labelled with its new name")
	case !slices.Equal(before.GroupBy, after.GroupBy):
		out = append(out, "all its series: they are recorded by other groups")
	case counts(before) != counts(after):
		out = append(out, "slo:sli_errors:* and slo:sli_total:* count something else: windows hold some of both until "+
			slo.FormatDuration(longest(before, after))+" have passed")
	}
	if before.Window.String() != after.Window.String() {
		out = append(out, "slo:sli_error:ratio_rate"+after.Window.String()+": the budget's window is another")
	}
	return out
}

func longest(ss ...slo.SLO) time.Duration {
	var d time.Duration
	for _, s := range ss {
		d = max(d, s.Window.Duration())
		for _, t := range s.Alerts.Tiers {
			d = max(d, t.Long)
		}
	}
	return d
}
