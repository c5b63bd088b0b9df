package fleet_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/fleet"
)

// past is a folder in which a fleet recorded 7 each minute for an hour, up to
// some time ago.
type past struct {
	dir      string
	now      time.Time
	from, to time.Time
	recorded []promql.FPoint
}

func newPast(t *testing.T, ago time.Duration) past {
	t.Helper()
	p := past{dir: t.TempDir(), now: time.Now()}
	p.to = p.now.Add(-ago).Truncate(step)
	p.from = p.to.Add(-time.Hour)
	db, err := tsdb.Open(p.dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	app := db.Appender(t.Context())
	set := labels.FromStrings("__name__", "slo:sli_total:rate5m", "slo", "a", "service", "svc", "scope", "fleet")
	for at := p.from; !at.After(p.to); at = at.Add(time.Minute) {
		p.recorded = append(p.recorded, promql.FPoint{T: at.UnixMilli(), F: 7})
		if _, err := app.Append(0, set, at.UnixMilli(), 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, "backfill.json"), []byte(`{"slos":["a"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// filled waits until each step since has its value, and sees that what was
// recorded before is as it was.
func (p past) filled(t *testing.T, f *fleet.Fleet) {
	t.Helper()
	until(t, "it is filled", 30*time.Second, func() bool {
		for at := p.to.Add(step); at.Before(p.now.Add(-step)); at = at.Add(step) {
			got := samples(t, f, "slo:sli_total:rate5m", "a", at, at)
			if len(got) != 1 {
				return false
			}
			if got[0].F != 200 {
				t.Fatalf("at %s there is %v, want 200", at, got)
			}
		}
		return true
	})
	if got := samples(t, f, "slo:sli_total:rate5m", "a", p.from.Add(-time.Hour), p.to); !slices.Equal(got, p.recorded) {
		t.Errorf("what was recorded is now %v", got)
	}
}

// records waits until a fleet records a metric.
func records(t *testing.T, f *fleet.Fleet, metric string) {
	t.Helper()
	began := time.Now()
	until(t, "it records "+metric, 20*time.Second, func() bool {
		return len(samples(t, f, metric, "a", began, time.Now())) > 0
	})
}

// The time in which Midwatch did not run is filled when it starts again, and
// what was recorded before stays as it was.
func TestTimeAwayIsFilled(t *testing.T) {
	t.Parallel()
	p, w := newPast(t, 2*time.Hour), newWorld([]string{"a"}, "one", "two")
	f, end := start(t, w.config(p.dir), burning(time.Hour), "a")
	p.filled(t, f)
	until(t, "nothing is left to fill", 10*time.Second, func() bool { return !strings.Contains(p.notes(t), "filling") })
	end()
	f, _ = start(t, w.config(p.dir), burning(time.Hour), "a")
	p.filled(t, f)
}

// notes returns what is kept of backfills.
func (p past) notes(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(p.dir, "backfill.json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// interrupted answers the first questions for history, and never the others.
type interrupted struct {
	*world
	left  int
	stuck atomic.Bool
}

// Range implements fleet.Clusters.
func (i *interrupted) Range(ctx context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, fleet.Lack, error) {
	if i.left > 0 {
		i.left--
		return i.world.Range(ctx, query, start, end, step)
	}
	i.stuck.Store(true)
	<-ctx.Done()
	return nil, fleet.Lack{}, ctx.Err()
}

// A time away that is longer than what is filled at once is filled to its end,
// though Midwatch stops in between, at any time of the day, and has recorded
// again since.
func TestRestOfTheTimeAwayIsFilledAfterAStop(t *testing.T) {
	t.Parallel()
	p, w := newPast(t, 13*time.Hour), newWorld([]string{"a"}, "one", "two")
	for range 2 { // a second stop changes nothing
		c := w.config(p.dir)
		stuck := &interrupted{world: w, left: 1}
		c.Clusters = stuck
		f, end := start(t, c, burning(time.Hour), "a")
		records(t, f, "slo:sli_total:rate5m")
		until(t, "the rest is asked for", 20*time.Second, stuck.stuck.Load)
		end()
	}
	f, _ := start(t, w.config(p.dir), burning(time.Hour), "a")
	p.filled(t, f)
}

// A cluster is away when Midwatch starts and when it starts again: the whole
// time is filled when it is back, though rules that ask no cluster recorded
// all along.
func TestTimeWithoutAClusterIsFilledAfterARestart(t *testing.T) {
	t.Parallel()
	p, w := newPast(t, 2*time.Hour), newWorld([]string{"a"}, "one", "two")
	w.gone["two"] = "connection refused"
	f, end := start(t, w.config(p.dir), burning(time.Hour), "a")
	records(t, f, "slo:parameter:value")
	end()
	f, _ = start(t, w.config(p.dir), burning(time.Hour), "a")
	until(t, "it is missing still", 20*time.Second, func() bool { return w.last("SLOFleetDataMissing").State == "firing" })
	w.set(func() { delete(w.gone, "two") })
	p.filled(t, f)
}

// A time in which the machine stood still is one that Midwatch was away.
func TestStandstillIsNoticed(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1_800_000_000, 0)
	after := begin.Add
	times := []time.Time{begin, after(2 * time.Minute), after(4 * time.Minute), after(11 * time.Minute), after(time.Hour), after(time.Hour + 2*time.Minute)}
	if got := fleet.Slept(2*time.Minute, times...); !slices.Equal(got, []time.Time{after(time.Hour)}) {
		t.Errorf("stood still before %s", got)
	}
}
