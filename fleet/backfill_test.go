package fleet_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang/snappy"
	commonconfig "github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/fleet"
)

const step = 5 * time.Minute

// history is what clusters recorded: one for a day, two for a part of it with
// a hole.
type history struct {
	now               time.Time
	since, went, back time.Duration // ago, of two
}

func (h history) has(cluster string, at time.Time) bool {
	ago := h.now.Sub(at)
	switch cluster {
	case "one":
		return ago <= 24*time.Hour
	default:
		return ago <= h.since && !h.hole(at)
	}
}

func (h history) hole(at time.Time) bool {
	ago := h.now.Sub(at)
	return ago <= h.went && ago > h.back
}

func (h history) value(cluster, metric, slo string, at time.Time) float64 {
	if !h.has(cluster, at) {
		return math.NaN()
	}
	v := math.Floor(1000 + 100*math.Sin(float64(at.Unix())/1e4))
	if metric == "slo:sli_errors:rate5m" {
		v /= 10
	}
	if slo == "b" {
		v *= 2
	}
	return v
}

// differences compares what is recorded of the past with the sums of what
// there was, and returns the first differences.
func (h history) differences(metric, slo string, points map[int64]float64) (out []string) {
	for at := h.now.Add(-30 * time.Hour).Truncate(step); at.Before(h.now.Add(-step)) && len(out) < 5; at = at.Add(step) {
		want, parts := 0.0, 0
		for _, c := range []string{"one", "two"} {
			if h.has(c, at) {
				want += h.value(c, metric, slo, at)
				parts++
			}
		}
		got, there := points[at.UnixMilli()]
		if there != (parts > 0 && !h.hole(at)) || there && got != want {
			out = append(out, fmt.Sprintf("%s of %s %s ago: %v (%v), want %v", metric, slo, h.now.Sub(at), got, there, want))
		}
	}
	return out
}

// comes waits until there is the history of an SLO. It comes in pieces, and
// those on disk are seen later than those in memory.
func (h history) comes(t *testing.T, f storage.Queryable, slo string) {
	t.Helper()
	for _, metric := range []string{"slo:sli_errors:rate5m", "slo:sli_total:rate5m"} {
		var wrong []string
		ok := eventually(40*time.Second, func() bool {
			wrong = h.differences(metric, slo, points(t, f, metric, slo, h.now))
			return len(wrong) == 0
		})
		if !ok {
			t.Fatalf("the history of %s does not come: %q", slo, wrong)
		}
	}
}

func points(t *testing.T, f storage.Queryable, metric, slo string, now time.Time) map[int64]float64 {
	out := map[int64]float64{}
	for _, p := range samples(t, f, metric, slo, now.Add(-40*time.Hour), now) {
		out[p.T] = p.F
	}
	return out
}

// The first start gives the fleet the history that its clusters have, and so
// does an SLO that becomes the fleet's; a hole stays one. A second start asks
// for none of it again.
func TestBackfillIsTheSumOfWhatClustersRecorded(t *testing.T) {
	t.Parallel()
	h := history{now: time.Now(), since: 12 * time.Hour, went: 8 * time.Hour, back: 5 * time.Hour}
	w, dir := newWorld([]string{"a", "b"}, "one", "two"), t.TempDir()
	w.value = h.value
	c := w.config(dir)
	f, end := start(t, c, burning(time.Hour), "a")
	h.comes(t, f, "a")
	if got := points(t, f, "slo:sli_total:rate5m", "b", h.now.Add(-time.Minute)); len(got) > 0 {
		t.Errorf("b has a history of %d samples and is not asked for", len(got))
	}
	if err := f.Update(burning(time.Hour), []string{"a", "b"}); err != nil {
		t.Fatal(err)
	}
	h.comes(t, f, "b")
	until(t, "it is noted", 10*time.Second, func() bool {
		b, err := os.ReadFile(filepath.Join(dir, "backfill.json"))
		return err == nil && strings.Contains(string(b), `"slos":["a","b"],"doing":null`)
	})
	w.set(func() {
		for _, a := range w.taken {
			if a.Label("alertname") == "Burn" {
				t.Errorf("history pages: %v", a)
			}
		}
	})
	end()
	var again int
	second := w.config(dir)
	second.Clusters = ranged{w, func() { again++ }}
	f, end = start(t, second, burning(time.Hour), "a", "b")
	until(t, "it records again", 20*time.Second, func() bool {
		return len(samples(t, f, "slo:sli_total:rate5m", "b", time.Now().Add(-2*time.Second), time.Now())) > 0
	})
	if wrong := h.differences("slo:sli_total:rate5m", "a", points(t, f, "slo:sli_total:rate5m", "a", h.now)); len(wrong) > 0 {
		t.Errorf("after a restart: %q", wrong)
	}
	end()
	if again > 0 {
		t.Errorf("the second start asks %d times for history", again)
	}
}

// A backfill that is stopped after each piece becomes the same: it is not
// forgotten which clusters there were before, so that a hole stays one that is
// longer than a piece.
func TestBackfillGoesOnAfterStops(t *testing.T) {
	t.Parallel()
	h := history{now: time.Now(), since: 23 * time.Hour, went: 18 * time.Hour, back: 2 * time.Hour}
	w, dir := newWorld([]string{"a"}, "one", "two"), t.TempDir()
	w.value = h.value
	for range 7 { // there are nine pieces
		c := w.config(dir)
		stuck := &interrupted{world: w, left: 1}
		c.Clusters = stuck
		_, end := start(t, c, burning(time.Hour), "a")
		until(t, "the next piece is asked for", 20*time.Second, stuck.stuck.Load)
		end()
	}
	f, _ := start(t, w.config(dir), burning(time.Hour), "a")
	h.comes(t, f, "a")
}

// ranged calls back when history is asked for.
type ranged struct {
	*world
	asked func()
}

// Range implements fleet.Clusters.
func (r ranged) Range(ctx context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, fleet.Lack, error) {
	r.asked()
	return r.world.Range(ctx, query, start, end, step)
}

// What is recorded goes to a remote storage, and nothing of a backfill does.
func TestRemoteWrite(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	oldest, got := time.Now().Add(time.Hour), map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			body, err = snappy.Decode(nil, body)
		}
		var req prompb.WriteRequest
		if err == nil {
			err = req.Unmarshal(body)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range req.Timeseries {
			for _, l := range s.Labels {
				if l.Name == "__name__" {
					got[l.Value] = true
				}
			}
			for _, p := range s.Samples {
				if at := time.UnixMilli(p.Timestamp); at.Before(oldest) {
					oldest = at
				}
			}
		}
	}))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w := newWorld([]string{"a"}, "one")
	c := w.config(t.TempDir())
	remote := config.DefaultRemoteWriteConfig
	remote.URL = &commonconfig.URL{URL: u}
	c.RemoteWrite = []*config.RemoteWriteConfig{&remote}
	w.value = failing(map[string]float64{"one": 0.5})
	start(t, c, burning(0), "a")
	until(t, "it is written", 30*time.Second, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got["slo:sli_total:rate5m"] && got["ALERTS"]
	})
	mu.Lock()
	defer mu.Unlock()
	if oldest.Before(began.Add(-time.Hour)) {
		t.Errorf("samples of %s are written, the start was at %s", oldest, began)
	}
}
