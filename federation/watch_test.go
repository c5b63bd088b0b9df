package federation_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/federation"
)

// moody is a server that does what it is told to.
type moody struct {
	h       http.Handler
	mood    atomic.Value // func(w, r) instead of h; nil func: h
	queries atomic.Int64 // requests for what it evaluates
	atOnce  atomic.Int64
	most    atomic.Int64
}

func newMoody(h http.Handler) *moody {
	m := &moody{h: h}
	m.be(nil)
	return m
}

func (m *moody) be(mood http.HandlerFunc) { m.mood.Store(mood) }

func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/api/v1/query" {
		m.queries.Add(1)
		if n := m.atOnce.Add(1); n > m.most.Load() {
			m.most.Store(n)
		}
		defer m.atOnce.Add(-1)
	}
	if mood := m.mood.Load().(http.HandlerFunc); mood != nil {
		mood(w, r)
		return
	}
	m.h.ServeHTTP(w, r)
}

// hurried returns a federation that is watched until the test ends.
func hurried(t *testing.T, c federation.Config) *federation.Federation {
	t.Helper()
	fed := newFederation(t, c)
	fed.Hurry(25)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { fed.Watch(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return fed
}

// until waits for the first cluster to be as wanted.
func until(t *testing.T, fed *federation.Federation, what string, wanted func(s federation.ClusterStatus) bool) federation.ClusterStatus {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		s := fed.Status()[0]
		if wanted(s) {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s does not come: %+v", what, s)
		case <-tick.C:
		}
	}
}

func isUp(s federation.ClusterStatus) bool   { return s.Up }
func isDown(s federation.ClusterStatus) bool { return s.Known && !s.Up && !s.Replicas[0].Asked }

// A server that does not answer is found out by probes, is not asked until it
// answers one, and is named all the while with what the probe was told.
func TestAServerThatDoesNotAnswerIsNotAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		mood http.HandlerFunc
		want string
	}{
		"hangs":      {hang, "no answer within 400ms"},
		"fails":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, "answered 502 Bad Gateway"},
		"throttles":  {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, "answered 429 Too Many Requests"},
		"breaks off": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection closed before the end of the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMoody(healthy(t))
			log := &safeBuffer{}
			fed := hurried(t, federation.Config{
				Timeout: clusterTimeout, Logger: slog.New(slog.NewTextHandler(log, nil)),
				Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, m)}}},
			})
			up := until(t, fed, "the first probe", isUp)
			if why := ask2(t, fed); why != "" {
				t.Fatal(why)
			}
			m.be(tt.mood)
			down := until(t, fed, "that it is away", isDown)
			if down.Cause != tt.want || !down.Since.After(up.Since) || down.Since.After(time.Now()) {
				t.Errorf("got %+v, want cause %q", down, tt.want)
			}
			before, begin := m.queries.Load(), time.Now()
			if why := ask2(t, fed); why != tt.want {
				t.Errorf("got %q, want %q", why, tt.want)
			}
			if took := time.Since(begin); took > clusterTimeout/2 || m.queries.Load() != before {
				t.Errorf("it was asked %d times, in %s", m.queries.Load()-before, took)
			}
			m.be(nil)
			until(t, fed, "that it is back", isUp)
			if why := ask2(t, fed); why != "" {
				t.Error(why)
			}
			if n := strings.Count(log.String(), "\n"); n != 2 {
				t.Errorf("got log\n%s", log)
			}
		})
	}
}

// safeBuffer is a buffer that several write to.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// A query that is too heavy fails alone: others are still sent.
func TestAQueryThatHangsTakesNoOtherWithIt(t *testing.T) {
	m := newMoody(healthy(t))
	fed := hurried(t, federation.Config{Timeout: clusterTimeout, Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, m)}}}})
	until(t, fed, "the first probe", isUp)
	m.be(func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("query") != "" && strings.Contains(r.FormValue("query"), "heavy") {
			hang(w, r)
			return
		}
		m.h.ServeHTTP(w, r)
	})
	for range 3 {
		if _, _, err := fed.Instant(t.Context(), `sum(heavy)`, at(time.Hour)); err == nil || !strings.Contains(err.Error(), "no answer within 400ms") {
			t.Errorf("got %v", err)
		}
		if s := fed.Status()[0]; !s.Up || !s.Replicas[0].Asked {
			t.Errorf("got %+v", s)
		}
		if v, notes, err := fed.Instant(t.Context(), `sum(up)`, at(time.Hour)); err != nil || len(notes) != 0 || v[0].F != 10 {
			t.Errorf("got %v %v %v", v, notes, err)
		}
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	m := newMoody(healthy(t))
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, m)}, MaxRequests: 2}}})
	if why := ask2(t, fed); why != "" {
		t.Fatal(why)
	}
	full, release := make(chan struct{}), make(chan struct{})
	m.be(func(w http.ResponseWriter, r *http.Request) {
		if m.atOnce.Load() == 2 {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		<-release
		m.h.ServeHTTP(w, r)
	})
	var asking sync.WaitGroup
	for range 6 {
		asking.Go(func() { ask2(t, fed) })
	}
	<-full
	close(release)
	asking.Wait()
	if most := m.most.Load(); most != 2 {
		t.Errorf("%d requests at once, want 2", most)
	}
}

func TestAPlaceThatDoesNotComeIsNamed(t *testing.T) {
	m := newMoody(healthy(t))
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, m)}, MaxRequests: 1}}})
	if why := ask2(t, fed); why != "" {
		t.Fatal(why)
	}
	taken := make(chan struct{})
	m.be(func(w http.ResponseWriter, r *http.Request) {
		close(taken)
		hang(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var first sync.WaitGroup
	first.Go(func() { _, _, _ = fed.Instant(ctx, `sum(up)`, at(time.Hour)) })
	<-taken
	late, end := context.WithTimeout(t.Context(), clusterTimeout)
	defer end()
	_, _, err := fed.Instant(late, `max(up)`, at(time.Hour))
	if err == nil || !strings.Contains(err.Error(), `cluster "one" (busy: 1 requests to it at once`) {
		t.Errorf("got %v", err)
	}
	cancel()
	first.Wait()
}

// One replica of two is away: nothing is missing, and it is said which.
func TestStatusOfReplicas(t *testing.T) {
	h := healthy(t)
	away := newMoody(h)
	away.be(hang)
	fed := hurried(t, federation.Config{Timeout: clusterTimeout, Clusters: []federation.Cluster{
		{Name: "one", URLs: []string{serve(t, away), strings.Replace(serve(t, h), "://", "://midwatch:"+password+"@", 1)}},
	}})
	s := until(t, fed, "both probes", func(s federation.ClusterStatus) bool { return s.Up && s.Replicas[0].Known })
	first, second := s.Replicas[0], s.Replicas[1]
	if first.Up || first.Asked || first.Problem != "no answer within 400ms" || !second.Up || !second.Asked || second.Version != "3.15.0" || second.Pushes != "everything" {
		t.Errorf("got %+v", s)
	}
	if strings.Contains(second.URL, password) || s.Cause != "" {
		t.Errorf("got %+v", s)
	}
	begin := time.Now()
	v, _, err := fed.Instant(t.Context(), `sum(up)`, at(time.Hour)) // what one replica may lack is warned of
	if err != nil || len(v) != 1 || v[0].F != 10 || time.Since(begin) > clusterTimeout/2 {
		t.Errorf("got %v, %v after %s", v, err, time.Since(begin))
	}
}

// What is known outlives a reload of the configuration.
func TestWhatIsKnownIsInherited(t *testing.T) {
	m := newMoody(healthy(t))
	c := federation.Config{Timeout: clusterTimeout, Clusters: []federation.Cluster{{Name: "one", URLs: []string{serve(t, m)}}}}
	before := hurried(t, c)
	until(t, before, "the first probe", isUp)
	m.be(hang)
	down := until(t, before, "that it is away", isDown)
	c.Clusters = append(c.Clusters, federation.Cluster{Name: "new", URLs: []string{serve(t, m)}})
	after := newFederation(t, c)
	if s := after.Status(); s[0].Known || s[1].Known {
		t.Errorf("nothing is known yet: got %+v", s)
	}
	after.Inherit(before)
	s := after.Status()
	if s[0].Up || !s[0].Known || !s[0].Since.Equal(down.Since) || s[0].Cause != down.Cause || s[0].Replicas[0].Version != "3.15.0" || s[1].Known {
		t.Errorf("got %+v, want %+v", s[0], down)
	}
}
