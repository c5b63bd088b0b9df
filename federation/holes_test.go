package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/teststorage"
)

func TestSpans(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		var s spans
		var want [100]bool
		for range rnd.IntN(20) {
			from := rnd.Int64N(90)
			one := span{from, from + rnd.Int64N(10)}
			if rnd.IntN(8) == 0 {
				one.to = math.MaxInt64 // it goes on
			}
			add := rnd.IntN(3) > 0
			if add {
				s = s.with(one)
			} else {
				s = s.without(one)
			}
			for i := one.from; i <= min(one.to, 99); i++ {
				want[i] = add
			}
		}
		var got [100]bool
		for i, one := range s {
			if one.from > one.to || i > 0 && one.from <= s[i-1].to+1 {
				t.Fatalf("got %v, want them in order and apart", s)
			}
			for k := one.from; k <= min(one.to, 99); k++ {
				got[k] = true
			}
		}
		if got != want {
			t.Fatalf("got %v, want %v", s, want)
		}
		in := span{rnd.Int64N(50), 50 + rnd.Int64N(50)}
		inside := want[in.from : in.to+1]
		if cover := !slices.Contains(inside, false); s.cover(in) != cover {
			t.Fatalf("%v cover %v: got %v", s, in, !cover)
		}
		if some := slices.Contains(inside, true); len(s.within(in)) > 0 != some {
			t.Fatalf("%v within %v: got %v", s, in, s.within(in))
		}
	}
}

// However long ago and however much queries want, it costs a bounded time.
func TestWantedTimeIsBounded(t *testing.T) {
	h := newHoles(2)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
	alive := []bool{true, true}
	for _, t := range []span{{math.MinInt64, math.MaxInt64}, {math.MinInt64, 0}, {0, 1000}, {now, math.MaxInt64}, {now + 1e9, now}, {math.MaxInt64, math.MinInt64}} {
		h.judge(t, alive, now)
	}
	for i := range int64(3000) {
		h.judge(span{i * 1e9, i*1e9 + 1000}, alive, now)
	}
	if got, most := h.wanted.length(), holesDepth.Milliseconds(); got > most || got < most/2 {
		t.Errorf("got %d ms wanted, want at most %d", got, most)
	}
}

// server is a Prometheus in this process, reached without a network.
type server struct {
	read  http.Handler
	reads atomic.Int64
	bytes atomic.Int64
	away  atomic.Bool
	lag   atomic.Int64 // nanoseconds that it takes to answer
}

// RoundTrip answers remote read, and nothing else.
func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	if s.away.Load() {
		return nil, context.DeadlineExceeded
	}
	select {
	case <-time.After(time.Duration(s.lag.Load())):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	rec := httptest.NewRecorder()
	if !strings.HasSuffix(req.URL.Path, "/read") {
		http.NotFound(rec, req)
		return rec.Result(), nil
	}
	s.reads.Add(1)
	s.read.ServeHTTP(rec, req)
	s.bytes.Add(int64(rec.Body.Len()))
	resp := rec.Result()
	resp.ContentLength = int64(rec.Body.Len())
	return resp, nil
}

// newServer returns one that scraped targets every 15 s from a time on, up to
// another, but not in its holes.
func newServer(t *testing.T, phase int64, from, to time.Time, targets int, away ...span) *server {
	t.Helper()
	db := teststorage.New(t)
	load := func() {
		for at := from.UnixMilli() + phase; at < to.UnixMilli(); at += 15_000 {
			if len(spans(away).within(span{at, at})) > 0 {
				continue
			}
			app := db.Appender(t.Context())
			for i := range targets {
				if _, err := app.Append(0, labels.FromStrings("__name__", "up", "instance", fmt.Sprint(i)), at+int64(i), 1); err != nil {
					t.Fatal(err)
				}
			}
			if err := app.Commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	load()
	return &server{read: readHandler(db)}
}

func readHandler(db storage.SampleAndChunkQueryable) http.Handler {
	conf := config.DefaultConfig
	return remote.NewReadHandler(slog.New(slog.DiscardHandler), nil, db, func() config.Config { return conf }, 1e9, 100, 1<<20)
}

// clusterOf returns a cluster of servers.
func clusterOf(t *testing.T, servers ...*server) *cluster {
	t.Helper()
	var urls []string
	for i := range servers {
		urls = append(urls, fmt.Sprintf("http://replica-%d", i))
	}
	m, err := newMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCluster(Cluster{Name: "pair", URLs: urls}, 10*time.Second, m)
	if err != nil {
		t.Fatal(err)
	}
	c.health.logger = slog.New(slog.DiscardHandler)
	for i, s := range servers {
		c.replicas[i].client.Transport = s
	}
	return c
}

// Of replicas without a target, as what remote write fills is, it is never
// known that they have no holes.
func TestWithoutTargetsNothingIsKnown(t *testing.T) {
	for _, targets := range []int{0, 1} {
		begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		pair := func(shift int64) *server {
			return newServer(t, shift, begin.Add(-time.Hour), begin.Add(time.Hour), targets)
		}
		first, second := pair(0), pair(7_000)
		synctest.Test(t, func(t *testing.T) {
			c := clusterOf(t, first, second)
			ctx, stop := context.WithCancel(t.Context())
			go c.watchHoles(ctx)
			time.Sleep(2 * time.Minute)
			synctest.Wait()
			if _, whole := c.whole(begin.UnixMilli(), begin.Add(time.Minute).UnixMilli()); whole != (targets > 0) {
				t.Errorf("of %d targets: whole is %v", targets, whole)
			}
			stop()
			synctest.Wait()
		})
	}
}

// What is known of holes, what it costs, and which replica is chosen. The
// clock is synctest's, which begins in the year 2000.
func TestHolesAreFound(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return begin.Add(-d).UnixMilli() }
	const targets = 20
	data, end := begin.Add(-26*time.Hour), begin.Add(20*time.Minute)
	first := newServer(t, 0, data, end, targets, span{ago(5 * time.Hour), ago(4 * time.Hour)}, span{ago(30 * time.Minute), ago(29 * time.Minute)})
	second := newServer(t, 7_000, data, end, targets, span{ago(150 * time.Minute), ago(140 * time.Minute)}, span{ago(-10 * time.Minute), math.MaxInt64})
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, first, second)
		if _, whole := c.whole(ago(time.Minute), ago(0)); whole {
			t.Error("before the first comparison: got whole, want that it is not known")
		}
		ctx, stop := context.WithCancel(t.Context())
		go c.watchHoles(ctx)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		for _, want := range []struct {
			from, to time.Duration // ago
			first    int           // the replica to ask, -1: all
		}{
			{time.Hour - time.Minute, 31 * time.Minute, 0},
			{time.Hour - time.Minute, 20 * time.Minute, 1},
			{20 * time.Minute, -8 * time.Minute, 0},
			{24 * time.Hour, 6 * time.Hour, 0},
			{6 * time.Hour, 3 * time.Hour, 1},
			{151 * time.Minute, time.Hour, 0},
			{6 * time.Hour, 0, -1},
			{30 * 24 * time.Hour, 29 * 24 * time.Hour, -1}, // not known yet
		} {
			order, whole := c.whole(ago(want.from), ago(want.to))
			switch {
			case whole != (want.first >= 0):
				t.Errorf("%s to %s ago: got whole %v, want %v", want.from, want.to, whole, !whole)
			case whole && order[0] != c.replicas[want.first]:
				t.Errorf("%s to %s ago: want replica %d", want.from, want.to, want.first)
			}
		}
		// 37 comparisons of the newest time, one for each piece of a day.
		if n := first.reads.Load(); n != second.reads.Load() || n < 37+12 || n > 38+13 {
			t.Errorf("got %d and %d requests, want some 50 each", n, second.reads.Load())
		}
		if b := first.bytes.Load() / (24 * 60 * 4 * targets); b > 2 {
			t.Errorf("got %d bytes for each sample, want less", b)
		}
		before := first.reads.Load()
		time.Sleep(2 * time.Minute) // the second stops scraping within it
		synctest.Wait()
		if n := first.reads.Load() - before; n < 8 || n > 21 {
			t.Errorf("in two minutes: got %d requests, want 8, and those for what was asked before", n)
		}
		if order, whole := c.whole(ago(-10*time.Minute), ago(-11*time.Minute)); !whole || order[0] != c.replicas[0] {
			t.Error("after the second stopped: want the first")
		}
		if _, whole := c.whole(ago(30*24*time.Hour), ago(29*24*time.Hour)); !whole {
			t.Error("what was wanted: got that it is not known still")
		}
		stop()
		synctest.Wait()
	})
}

// Replicas are restarted one after the other: the first is back, and has
// scraped nothing yet, when the second goes.
func TestWhatAReplicaMissedWhileItWasRestartedIsTold(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) int64 { return begin.Add(d).UnixMilli() }
	data, end := begin.Add(-time.Hour), begin.Add(30*time.Minute)
	first := newServer(t, 0, data, begin.Add(2*time.Minute), 3)
	second := newServer(t, 7_000, data, end, 3)
	up := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")}
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, first, second)
		ctx, stop := context.WithCancel(t.Context())
		go c.watchHoles(ctx)
		until := func(d time.Duration) {
			time.Sleep(time.Until(begin.Add(d)))
			synctest.Wait()
		}
		until(2 * time.Minute)
		first.away.Store(true)
		until(3*time.Minute + 26*time.Second)
		first.away.Store(false)
		second.away.Store(true)
		for d := 3*time.Minute + 27*time.Second; d < 6*time.Minute; d += 3 * time.Second {
			until(d)
			told := ""
			_, _, err := c.read(ctx, selection{mint: at(time.Minute), maxt: at(d), matchers: up}, &budget{limit: 1 << 20}, func(_, text string) { told += text })
			if err != nil {
				t.Error(err)
			}
			if !strings.Contains(told, "replica 1 answers alone, and ") {
				t.Errorf("after %v: got %q, want that data may be missing", d, told)
			}
		}
		stop()
		synctest.Wait()
	})
}

// A replica that is away is not asked, and what the other lacks is told.
func TestWhatTheOnlyReplicaLacksIsTold(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) int64 { return begin.Add(-d).UnixMilli() }
	data, end := begin.Add(-2*time.Hour), begin.Add(30*time.Minute)
	first := newServer(t, 0, data, end, 3, span{ago(20 * time.Minute), ago(10 * time.Minute)})
	second := newServer(t, 7_000, data, end, 3)
	up := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")}
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, first, second)
		ctx, stop := context.WithCancel(t.Context())
		go c.watchHoles(ctx)
		time.Sleep(time.Minute)
		second.away.Store(true)
		time.Sleep(time.Minute)
		synctest.Wait()
		read := func(from, to time.Duration) string {
			told := ""
			_, _, err := c.read(ctx, selection{mint: ago(from), maxt: ago(to), matchers: up}, &budget{limit: 1 << 20}, func(_, text string) { told += text })
			if err != nil {
				t.Error(err)
			}
			return told
		}
		if told := read(30*time.Minute, 0); !strings.Contains(told, "replica 1 answers alone, and lacks data of 1999-12-31T23:39:4") {
			t.Errorf("over the hole: got %q, want that it is told", told)
		}
		if told := read(9*time.Minute, 0); told != "" {
			t.Errorf("after the hole: got %q, want nothing", told)
		}
		second.away.Store(false)
		time.Sleep(2 * time.Minute)
		if told := read(30*time.Minute, 0); told != "" {
			t.Errorf("when the other is back: got %q, want nothing", told)
		}
		stop()
		synctest.Wait()
	})
}

// A replica that is slow once is not taken for one that does not answer.
func TestASlowReplicaStaysOneThatAnswers(t *testing.T) {
	begin := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	pair := func() *server { return newServer(t, 0, begin.Add(-time.Hour), begin, 1) }
	first, second := pair(), pair()
	up := []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "up")}
	synctest.Test(t, func(t *testing.T) {
		c := clusterOf(t, first, second)
		read := func() int {
			doubts := 0
			_, _, err := c.read(t.Context(), selection{mint: begin.Add(-time.Minute).UnixMilli(), maxt: begin.UnixMilli(), matchers: up}, &budget{limit: 1 << 20}, func(string, string) { doubts++ })
			if err != nil {
				t.Error(err)
			}
			return doubts
		}
		c.holes.note(span{begin.UnixMilli() - 1000, begin.UnixMilli()}, true, []finding{{answered: true, targets: true}, {answered: true, targets: true}})
		second.lag.Store(int64(5 * time.Second))
		if n := read(); n == 0 {
			t.Error("the second is not waited for: got no doubt")
		}
		second.lag.Store(0)
		if alive := c.alive(); !slices.Equal(alive, []bool{true, true}) {
			t.Errorf("got %v alive, want both", alive)
		}
		if n := read(); n > 0 {
			t.Errorf("got %d doubts once both answer", n)
		}
	})
}

// A pair of which one fails while nothing is let through to the other, which
// answers again but was not probed yet, answers.
func TestTheLastReplicaIsAskedAnyway(t *testing.T) {
	for shut, want := range map[int]bool{1: true, 2: false} {
		now := time.Now()
		pair := func() *server { return newServer(t, 0, now.Add(-time.Hour), now, 1) }
		c := clusterOf(t, pair(), pair())
		for _, r := range c.replicas[:shut] {
			r.breaker.set(errors.New("it did not answer a probe"))
		}
		try := func(ctx context.Context, r *replica) (string, error) {
			switch err := r.breaker.open(); {
			case r == c.replicas[1]:
				return "", errors.New("away")
			case err != nil && !isProbe(ctx):
				return "", err
			}
			return "answer", nil
		}
		got, from, err := first(t.Context(), c, c.replicas, span{}, try, nil)
		if answered := got == "answer" && from == c.replicas[0] && err == nil; answered != want {
			t.Errorf("nothing is let through to %d: got %q, %v", shut, got, err)
		}
	}
}
