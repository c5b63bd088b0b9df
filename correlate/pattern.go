package correlate

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of what Patterns keeps: lines beyond them are left out.
const (
	maxGroups = 4096
	maxSample = 1 << 10 // bytes
)

// codeWeight is how much more a pattern counts whose program gave it an error
// code: somebody thought of this failure and named it.
const codeWeight = 1.5

// Miner puts messages that differ only in their variable parts into the same
// group. It may learn: the same group's template may change with what it sees.
type Miner interface {
	// Group returns the number of the message's group, or -1 when the miner
	// is full and the message is like none that it knows.
	Group(message string) int
	// Template returns the template of a group that Group returned.
	Template(group int) string
}

// Masker is the Miner that compares what Template returns.
type Masker struct {
	groups    map[string]int
	templates []string
}

var _ Miner = (*Masker)(nil)

// NewMasker returns a Masker that knows no message.
func NewMasker() *Masker { return &Masker{groups: map[string]int{}} }

// Group returns the number of the group with the message's template.
func (m *Masker) Group(message string) int {
	t := Template(message)
	if g, ok := m.groups[t]; ok {
		return g
	}
	if len(m.templates) >= maxGroups {
		return -1
	}
	m.groups[t] = len(m.templates)
	m.templates = append(m.templates, t)
	return m.groups[t]
}

// Template returns a group's template.
func (m *Masker) Template(group int) string { return m.templates[group] }

// Pattern is a group of log lines: the same template and the same error code.
type Pattern struct {
	Template string
	Count    int    // lines in the window
	Before   int    // lines in the same length of time before it
	AtLeast  bool   // the counts are lower bounds
	Sample   Record // a line in the window; one with a trace where there is one
}

// Score says how much a pattern explains: the logarithm of its growth against
// the time before (each count plus one, so that little is not much), times
// the logarithm of its count, so that among patterns that are new the frequent
// ones come first. It is 0 for what is as it was, and negative for what fades.
func (p Pattern) Score() float64 {
	growth := math.Log(float64(p.Count+1) / float64(p.Before+1))
	score := growth * math.Log1p(float64(p.Count))
	if score > 0 && p.Sample.Code != "" {
		score *= codeWeight
	}
	return score
}

// Page returns the pattern as a page shows it.
func (p Pattern) Page() page.LogPattern {
	return page.LogPattern{
		Template: p.Template,
		Code:     p.Sample.Code,
		Count:    p.Count,
		Before:   p.Before,
		AtLeast:  p.AtLeast,
		Sample:   p.Sample.Message,
		TraceID:  p.Sample.TraceID,
		Cluster:  p.Sample.Cluster,
		Pod:      p.Sample.Pod,
	}
}

// Rank sorts patterns by what they explain, best first.
func Rank(patterns []Pattern) {
	slices.SortStableFunc(patterns, func(a, b Pattern) int {
		return cmp.Or(
			cmp.Compare(b.Score(), a.Score()),
			cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.Template, b.Template),
			cmp.Compare(a.Sample.Code, b.Sample.Code),
		)
	})
}

// Patterns groups and counts the lines of a window and of the same length of
// time before it. Its memory is bounded, whatever the lines.
type Patterns struct {
	miner  Miner
	groups map[groupKey]*Pattern
}

type groupKey struct {
	group int
	code  string
}

// NewPatterns returns Patterns without lines, grouped by a miner.
func NewPatterns(m Miner) *Patterns {
	return &Patterns{miner: m, groups: map[groupKey]*Pattern{}}
}

// Add counts a line of the window.
func (ps *Patterns) Add(r Record) {
	p := ps.find(r)
	if p == nil {
		return
	}
	p.Count++
	if p.Count == 1 || (p.Sample.TraceID == "" && r.TraceID != "") {
		p.Sample = keep(r)
	}
}

// AddBefore counts a line of the time before the window.
func (ps *Patterns) AddBefore(r Record) {
	if p := ps.find(r); p != nil {
		p.Before++
	}
}

func (ps *Patterns) find(r Record) *Pattern {
	key := groupKey{ps.miner.Group(r.Message), r.Code}
	if key.group < 0 {
		return nil
	}
	p := ps.groups[key]
	if p == nil && len(ps.groups) < maxGroups {
		key.code = strings.Clone(key.code)
		p = &Pattern{}
		ps.groups[key] = p
	}
	return p
}

// keep returns the record without the rest of the line that it was cut from.
func keep(r Record) Record {
	r.Message = strings.Clone(cut(r.Message, maxSample))
	for _, s := range []*string{&r.Level, &r.Code, &r.TraceID, &r.Cluster, &r.Pod, &r.MessageKey, &r.CodeKey} {
		*s = strings.Clone(*s)
	}
	return r
}

// Ranked returns the patterns that occur in the window, best first.
func (ps *Patterns) Ranked() []Pattern {
	var ranked []Pattern
	for key, p := range ps.groups {
		if p.Count > 0 {
			p.Template = ps.miner.Template(key.group)
			ranked = append(ranked, *p)
		}
	}
	Rank(ranked)
	return ranked
}
