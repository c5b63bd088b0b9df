package correlate

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/page"
)

func add(ps *Patterns, window, before int, line string) {
	for range window {
		ps.Add(Parse(line))
	}
	for range before {
		ps.AddBefore(Parse(line))
	}
}

func templates(patterns []Pattern) []string {
	var ts []string
	for _, p := range patterns {
		ts = append(ts, p.Template)
	}
	return ts
}

func TestRankedPutsWhatIsNewOrGrewFirst(t *testing.T) {
	ps := NewPatterns(NewMasker())
	add(ps, 10000, 9000, "cache miss, as always")
	add(ps, 500, 0, "pool is empty")
	add(ps, 60, 2, "retrying")
	add(ps, 5, 0, "new but rare")
	add(ps, 100, 200, "fading")
	add(ps, 40, 40, "steady")
	add(ps, 0, 50, "gone")
	want := []string{"pool is empty", "retrying", "new but rare", "cache miss, as always", "steady", "fading"}
	if diff := cmp.Diff(want, templates(ps.Ranked())); diff != "" {
		t.Error(diff)
	}
}

func TestScore(t *testing.T) {
	// ln(8/2)·ln(8) = 1.386294·2.079442 = 2.882719; with a code half as much again.
	p := Pattern{Count: 7, Before: 1}
	if got := p.Score(); math.Abs(got-2.882719) > 1e-6 {
		t.Errorf("score %f", got)
	}
	p.Sample.Code = "E1"
	if got := p.Score(); math.Abs(got-4.324078) > 1e-6 {
		t.Errorf("score with a code %f", got)
	}
	if got := (Pattern{Count: 7, Before: 7, Sample: Record{Code: "E1"}}).Score(); got != 0 {
		t.Errorf("score of what is as it was: %f", got)
	}
}

func TestPatternsAreGroupedByTemplateAndCode(t *testing.T) {
	ps := NewPatterns(NewMasker())
	ps.Add(Parse(`{"message":"payment 1 timed out","errorCode":"A"}`))
	ps.Add(Parse(`{"message":"payment 22 timed out","errorCode":"A","traceId":"t2","pod":"p2"}`))
	ps.Add(Parse(`{"message":"payment 3 timed out","errorCode":"A","traceId":"t3","pod":"p3"}`))
	ps.Add(Parse(`{"message":"payment 4 timed out","errorCode":"B"}`))
	ps.AddBefore(Parse(`{"message":"payment 5 timed out","errorCode":"B"}`))
	ranked := ps.Ranked()
	if len(ranked) != 2 {
		t.Fatalf("%d patterns: %v", len(ranked), ranked)
	}
	want := page.LogPattern{Template: "payment <*> timed out", Code: "A", Count: 3, Sample: "payment 22 timed out", TraceID: "t2", Pod: "p2"}
	if diff := cmp.Diff(want, ranked[0].Page()); diff != "" {
		t.Error(diff)
	}
	want = page.LogPattern{Template: "payment <*> timed out", Code: "B", Count: 1, Before: 1, Sample: "payment 4 timed out"}
	if diff := cmp.Diff(want, ranked[1].Page()); diff != "" {
		t.Error(diff)
	}
}

func TestPatternsAreBounded(t *testing.T) {
	ps := NewPatterns(NewMasker())
	const lines = maxGroups + 100
	for i := range lines {
		ps.Add(Record{Message: word(i)})
	}
	if got := len(ps.Ranked()); got != maxGroups {
		t.Errorf("%d patterns", got)
	}
	ps = NewPatterns(NewMasker())
	for i := range lines {
		ps.Add(Record{Message: "same", Code: fmt.Sprint(i)})
	}
	if got := len(ps.Ranked()); got != maxGroups {
		t.Errorf("%d patterns by code", got)
	}
}

// word writes a number in letters alone.
func word(i int) string {
	w := ""
	for ; i > 0; i /= 20 {
		w += string(rune('g' + i%20))
	}
	return w
}
