package federation

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// What replicas lack and which targets they miss is told, and since when; and
// that the one that answers alone is one that lacks something.
func TestStatusTellsWhatReplicasLack(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return begin.Add(-d).UnixMilli() }
	data, end := begin.Add(-2*time.Hour), begin.Add(30*time.Minute)
	first := newServer(t, 0, data, end, 15)
	second := newServer(t, 7_000, data, end, 3, span{ago(20 * time.Minute), ago(10 * time.Minute)})
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, first, second)
		ctx, stop := context.WithCancel(t.Context())
		go c.watchHoles(ctx)
		pass := func(d time.Duration) [2]Lacking {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			s := c.status()
			return [2]Lacking{s.Replicas[0].Lacking, s.Replicas[1].Lacking}
		}
		if l := pass(time.Minute)[1]; len(l.Targets) > 0 {
			t.Errorf("at once: got %+v, want no targets yet", l)
		}
		l := pass(2 * time.Minute)
		if l[0].Gaps != nil || l[0].Targets != nil {
			t.Errorf("the first: got %+v, want nothing", l[0])
		}
		// Instances 3 to 9 and 10 to 14 are scraped by the first alone.
		if !slices.Contains(l[1].Targets, `{instance="14"}`) || slices.Contains(l[1].Targets, `{instance="2"}`) ||
			len(l[1].Targets) != maxMissingNamed || l[1].MoreTargets != 2 || !l[1].TargetsSince.Equal(begin) {
			t.Errorf("the second: got %+v", l[1])
		}
		if len(l[1].Gaps) == 0 {
			t.Errorf("the second: got %+v, want the time that it was away", l[1])
		}
		address := c.replicas[1].address()
		if n := testutil.ToFloat64(c.metrics.missing.WithLabelValues("pair", address)); n != 12 {
			t.Errorf("got %v targets missing", n)
		}
		if s := testutil.ToFloat64(c.metrics.lacking.WithLabelValues("pair", address)); s < 600 {
			t.Errorf("got %v seconds", s)
		}
		if d := c.review(time.Now()); d.text != "" {
			t.Errorf("both answer: got doubt %q", d.text)
		}
		first.away.Store(true)
		went := time.Now()
		pass(time.Minute)
		d := c.review(time.Now())
		if !strings.HasPrefix(d.text, "replica 2 answers alone, and lacks data of ") || d.since.Sub(went) > 20*time.Second || d.since.Before(went) {
			t.Errorf("the second alone: got %+v", d)
		}
		if testutil.ToFloat64(c.metrics.doubtful.WithLabelValues("pair")) != 1 {
			t.Error("the second alone: want it in the metric")
		}
		after := clusterOf(t, first, second)
		after.inherit(c)
		if got := after.holes.lackingOf(1, day(time.Now())); len(got.Gaps) == 0 || len(got.Targets) == 0 {
			t.Errorf("after a reload: got %+v", got)
		}
		first.away.Store(false)
		pass(2 * time.Minute)
		if d := c.review(time.Now()); d.text != "" || !d.since.IsZero() {
			t.Errorf("both again: got %+v", d)
		}
		stop()
		synctest.Wait()
	})
}

// The gaps of a status are bounded, and what goes on has no end.
func TestGapsAreNamedNewestFirst(t *testing.T) {
	h := newHoles(2)
	now := int64(1_000_000_000)
	var lacks spans
	for i := range int64(8) {
		lacks = lacks.with(span{now - 10_000*(i+1), now - 10_000*(i+1) + 999})
	}
	h.note(span{0, now}, true, []finding{{answered: true, targets: true}, {answered: true, targets: true, lacks: lacks.with(span{now, 1<<63 - 1})}})
	got := h.lackingOf(1, span{0, now})
	if len(got.Gaps) != maxGaps || got.MoreGaps != 4 || !got.Gaps[0].To.IsZero() || got.Gaps[1] != (Gap{time.UnixMilli(now - 10_000).UTC(), time.UnixMilli(now - 9_001).UTC()}) {
		t.Errorf("got %+v", got)
	}
	if d := h.lackingFor(1, span{0, now}); d != 8001*time.Millisecond {
		t.Errorf("got %s", d)
	}
	if got := h.lackingOf(0, span{0, now}); got.Gaps != nil {
		t.Errorf("got %+v", got)
	}
}
