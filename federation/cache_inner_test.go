package federation

import (
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

func TestWhatChangesThePast(t *testing.T) {
	base := telling{started: "1", configured: "2", span: 2 * time.Hour, newest: 10 * time.Hour.Milliseconds(), sources: map[string]int64{"a": 100, "b": 200}}
	for name, c := range map[string]struct {
		change func(*telling)
		from   int64 // of what is to be forgotten
		want   bool
	}{
		"nothing":                {func(t *telling) { t.newest++ }, 0, false},
		"started anew":           {func(t *telling) { t.started = "3" }, anytime, true},
		"configured anew":        {func(t *telling) { t.configured = "3" }, anytime, true},
		"another window":         {func(t *telling) { t.outOfOrder = time.Hour }, anytime, true},
		"a block is gone":        {func(t *telling) { t.sources = map[string]int64{"b": 200} }, anytime, true},
		"a block is new":         {func(t *telling) { t.sources = map[string]int64{"a": 100, "b": 200, "c": 300} }, 300, true},
		"two blocks become one":  {func(t *telling) { t.sources = map[string]int64{"a": 100, "b": 100} }, 0, false},
		"an old block is put in": {func(t *telling) { t.sources = map[string]int64{"a": 100, "b": 200, "c": 50} }, 50, true},
	} {
		after := base
		c.change(&after)
		if from, changed := after.changed(&base); changed != c.want || changed && from != c.from {
			t.Errorf("%s: it is %v that it changes what is newer than %d", name, changed, from)
		}
	}
	if got, want := base.until(), (10*time.Hour - time.Hour - pastMargin).Milliseconds(); got != want {
		t.Errorf("samples are settled until %d, want %d", got, want)
	}
	base.outOfOrder = 3 * time.Hour
	if got, want := base.until(), (10*time.Hour - 3*time.Hour - pastMargin).Milliseconds(); got != want {
		t.Errorf("with a window samples are settled until %d, want %d", got, want)
	}
}

func TestForgetting(t *testing.T) {
	m, err := newCacheMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newCache(1<<20, m)
	one, other := &replica{}, &replica{}
	now := time.Now()
	put := func(r *replica, piece, newest int64, epoch uint64, since time.Time) {
		c.keep(&cached{
			key: cacheKey{cacheSubject{replica: r, step: 1}, piece}, epoch: epoch, from: piece * pieceSteps, steps: pieceSteps,
			newest: newest, answer: &answer.Answer{}, since: since,
		})
	}
	has := func(r *replica, piece int64, epoch uint64) bool {
		return c.find(cacheKey{cacheSubject{replica: r, step: 1}, piece}, epoch, piece*pieceSteps, pieceSteps, now) != nil
	}
	put(one, 1, 100, 0, now)
	put(one, 2, 300, 0, now)
	put(other, 1, 300, 0, now)
	c.forget(one, 200, 1)
	put(one, 3, 50, 0, now) // by a query that began before
	if !has(one, 1, 1) || has(one, 2, 1) || has(one, 3, 1) || !has(other, 1, 0) {
		t.Error("not what is newer, and of the one server, is forgotten")
	}
	c.forget(one, anytime, 2)
	put(other, 2, 0, 0, now.Add(-pieceTTL-time.Second))
	if has(one, 1, 2) || has(other, 2, 0) || !has(other, 1, 0) {
		t.Error("what is forgotten, or old, is found")
	}
	if len(c.pieces) != 1 || c.order.Len() != 1 || c.bytes != c.pieces[cacheKey{cacheSubject{replica: other, step: 1}, 1}].Value.(*cached).bytes {
		t.Errorf("%d pieces of %d bytes are left, want one", len(c.pieces), c.bytes)
	}
}
