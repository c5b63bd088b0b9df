package fleet_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

// The time in which Midwatch did not run is filled when it starts again, and
// what was recorded before stays as it was.
func TestTimeAwayIsFilled(t *testing.T) {
	t.Parallel()
	now, dir := time.Now(), t.TempDir()
	from, to := now.Add(-3*time.Hour).Truncate(step), now.Add(-2*time.Hour).Truncate(step)
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	app := db.Appender(t.Context())
	set := labels.FromStrings("__name__", "slo:sli_total:rate5m", "slo", "a", "service", "svc", "scope", "fleet")
	var before []promql.FPoint
	for at := from; !at.After(to); at = at.Add(time.Minute) {
		before = append(before, promql.FPoint{T: at.UnixMilli(), F: 7})
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
	if err := os.WriteFile(filepath.Join(dir, "backfill.json"), []byte(`{"slos":["a"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld([]string{"a"}, "one", "two")
	f, end := start(t, w.config(dir), burning(time.Hour), "a")
	until(t, "it is filled", 20*time.Second, func() bool { return len(samples(t, f, "slo:sli_total:rate5m", "a", to, now)) > 20 })
	check := func() {
		t.Helper()
		if got := samples(t, f, "slo:sli_total:rate5m", "a", from.Add(-time.Hour), to); !slices.Equal(got, before) {
			t.Errorf("what was recorded is now %v", got)
		}
		for at := to.Add(step); at.Before(now.Add(-step)); at = at.Add(step) {
			if got := samples(t, f, "slo:sli_total:rate5m", "a", at, at); len(got) != 1 || got[0].F != 200 {
				t.Errorf("at %s there is %v, want 200", at, got)
			}
		}
	}
	check()
	end()
	f, _ = start(t, w.config(dir), burning(time.Hour), "a")
	check()
}
