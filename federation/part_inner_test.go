package federation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

func TestMemoryForgets(t *testing.T) {
	m, now := newMemory(), time.Unix(0, 0)
	m.remember("a", "x", now)
	if !m.knows("a", "x", now.Add(memoryTTL-1)) || m.knows("a", "x", now.Add(memoryTTL)) || m.knows("ax", "", now) {
		t.Error("it does not remember what it should, for as long as it should")
	}
	for i := range 3 * memorySize {
		m.remember("b", fmt.Sprint(i), now.Add(time.Second))
	}
	if len(m.until) > memorySize {
		t.Errorf("it remembers %d", len(m.until))
	}
}

func TestTreesAreHandedOutOnce(t *testing.T) {
	p := newTreeParser(parser.NewParser(parser.Options{}))
	tree := &parser.NumberLiteral{Val: 7}
	token := p.keep(tree)
	if got, err := p.ParseExpr(token); err != nil || got != parser.Expr(tree) {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := p.ParseExpr(token); err == nil {
		t.Errorf("a second time: got %v", got)
	}
	p.drop(p.keep(tree))
	if len(p.trees) != 0 {
		t.Errorf("%d trees are left", len(p.trees))
	}
}

// What Prometheus notes is read and written again as it was.
func TestPlace(t *testing.T) {
	const query = "   rate(foo[5m])"
	origins := map[posrange.Pos]posrange.Pos{5: 8}
	at := posrange.PositionRange{Start: 5, End: 12}
	forced := func(ts int64, low, high, diff float64) error {
		return annotations.NewHistogramQuantileForcedMonotonicityInfo("foo", at, ts*1000, low, high, diff)
	}
	for name, of := range map[string][]error{
		"counter": {annotations.NewPossibleNonCounterInfo("foo (1:6)", at)},
		"mixed":   {annotations.NewMixedFloatsHistogramsWarning("foo", at)},
		"forced":  {forced(60, 0.1, 5, 0.123), forced(30, 0.25, 10, 7)},
	} {
		var sent, want annotations.Annotations
		for _, err := range of {
			sent.Add(err)
		}
		warnings, infos := sent.AsStrings("rate(foo[5m])", 0, 0)
		text := append(warnings, infos...)[0]
		n, ok := place(text, origins)
		if !ok {
			t.Fatalf("%s: %s is not placed", name, text)
		}
		want.Add(n)
		warnings, infos = want.AsStrings(query, 0, 0)
		if got := append(warnings, infos...)[0]; got != strings.TrimSuffix(text, "(1:6)")+"(1:9)" {
			t.Errorf("%s: got %s, sent was %s", name, got, text)
		}
	}
	for _, text := range []string{
		"", "(1:6)", "PromQL info: something new (1:6)", "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: (1:7)",
		"PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: (2:6)", "remote storage away (1:6)",
	} {
		if n, ok := place(text, origins); ok {
			t.Errorf("%q is placed as %v", text, n)
		}
	}
}

func TestNotesOfSeveralClustersAreMerged(t *testing.T) {
	at := posrange.PositionRange{Start: 0, End: 1}
	forced := func(ts int64, low, high, diff float64) error {
		return annotations.NewHistogramQuantileForcedMonotonicityInfo("", at, ts, low, high, diff)
	}
	var all, a, b annotations.Annotations // each with errors of its own, which are changed
	all.Add(forced(60_000, 0.1, 5, 0.123))
	all.Add(forced(30_000, 0.2, 7, 0.1))
	all.Add(forced(30_000, 0.05, 6, 11))
	a.Add(forced(60_000, 0.1, 5, 0.123))
	a.Add(forced(30_000, 0.2, 7, 0.1))
	b.Add(forced(30_000, 0.05, 6, 11))
	var got annotations.Annotations
	for _, one := range []annotations.Annotations{a, b} {
		_, infos := one.AsStrings("x", 0, 0)
		n, ok := place(infos[0], map[posrange.Pos]posrange.Pos{0: 0})
		if !ok || !agrees(got[n.Error()], n, true) || got[n.Error()] != nil && agrees(got[n.Error()], n, false) {
			t.Fatalf("%q", infos)
		}
		got.Add(n)
	}
	_, want := all.AsStrings("x", 0, 0)
	if _, infos := got.AsStrings("x", 0, 0); fmt.Sprint(infos) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", infos, want)
	}
}
