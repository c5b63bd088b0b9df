package rules_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// between returns the points of a range query by time since the epoch.
func (w *world) between(from, to, every time.Duration, expr string) map[time.Duration]float64 {
	w.t.Helper()
	q, err := w.engine.NewRangeQuery(w.t.Context(), w.db, nil, expr, epoch.Add(from), epoch.Add(to), every)
	if err != nil {
		w.t.Fatal(err)
	}
	defer q.Close()
	m, err := q.Exec(w.t.Context()).Matrix()
	if err != nil {
		w.t.Fatalf("%s: %v", expr, err)
	}
	if len(m) > 1 {
		w.t.Fatalf("%s: %d series", expr, len(m))
	}
	out := map[time.Duration]float64{}
	for _, s := range m {
		for _, p := range s.Floats {
			out[time.UnixMilli(p.T).Sub(epoch)] = p.F
		}
	}
	return out
}

func earliest(points map[time.Duration]float64) time.Duration {
	first := time.Duration(math.MaxInt64)
	for at := range points {
		first = min(first, at)
	}
	return first
}

// Fifty instances, scraped at moments of their own, begin to fail. The alert
// is not one evaluation later than one on raw windows, and no ratio is more
// than half a point farther from the truth than the raw one.
func TestOutageAgainstRawWindows(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{15 * time.Second, 30 * time.Second, time.Minute} {
		for _, share := range []float64{1, 0.1} {
			t.Run(fmt.Sprintf("%s scrapes, %g%% errors", every, share*100), func(t *testing.T) {
				outageAgainstRaw(t, every, share)
			})
		}
	}
}

func outageAgainstRaw(t *testing.T, every time.Duration, share float64) {
	const onset, end = 8*hour + 7*time.Second, 9*hour + 30*minute
	set := compile(t, rules.Options{ScrapeInterval: every}, availability(t, "a", "99.9", nil))
	w := newWorld(t, set)
	dice := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		phase := time.Duration(dice.Int64N(int64(every/time.Millisecond))) * time.Millisecond
		ls := fmt.Sprintf(`{app="a",i="%d"}`, i)
		w.scrape("requests_total"+ls, phase, end, every, steady(5))
		w.scrape("failures_total"+ls, phase, end, every, burst(5*share, onset, 24*hour))
	}
	w.replay(0, end)

	raw := func(window string) string {
		return fmt.Sprintf(`sum(rate(failures_total[%[1]s])) / sum(rate(requests_total[%[1]s]))`, window)
	}
	rawFired := earliest(w.between(7*hour, end, 30*time.Second, "("+raw("1h")+" > 0.0144) and ("+raw("5m")+" > 0.0144)"))
	fired := earliest(w.between(7*hour, end, 30*time.Second, alertExpr(t, set, "1h5m")))
	t.Logf("fires %s after the onset, on raw windows %s", fired-onset, rawFired-onset)
	if fired > rawFired || fired < onset {
		t.Errorf("fires %s after the onset, on raw windows %s", fired-onset, rawFired-onset)
	}
	for window, length := range map[string]time.Duration{"5m": 5 * minute, "30m": 30 * minute, "1h": hour, "6h": 6 * hour} {
		off := func(points map[time.Duration]float64) float64 {
			worst := 0.0
			for at, got := range points {
				truth := share * min(1, (at-onset).Seconds()/length.Seconds())
				worst = max(worst, math.Abs(got/truth-1))
			}
			return worst
		}
		from := (onset + 10*minute).Truncate(30*time.Second) + 30*time.Second
		ours := off(w.between(from, end, 30*time.Second, "slo:sli_error:ratio_rate"+window))
		theirs := off(w.between(from, end, 30*time.Second, raw(window)))
		t.Logf("%s: %.2f%% from the truth, raw %.2f%%", window, ours*100, theirs*100)
		if ours > theirs+0.005 {
			t.Errorf("%s: %.2f%% from the truth, raw %.2f%%", window, ours*100, theirs*100)
		}
	}
}

// alertExpr returns the expression of a tier's alert at P2.
func alertExpr(t *testing.T, set rules.Set, tier string) string {
	t.Helper()
	for _, g := range set.Groups() {
		for _, r := range g.Rules {
			if r.Labels["tier"] == tier && r.Labels["severity"] == "P2" {
				return r.Expr
			}
		}
	}
	t.Fatalf("no alert of tier %s", tier)
	return ""
}

// integral is a counter of what happens at a rate that is constant within
// each minute.
type integral []float64

func (c integral) at(seconds float64) float64 {
	seconds = max(0, min(seconds, float64(len(c)-1)*60))
	whole := int(seconds / 60)
	if whole+1 >= len(c) {
		return c[whole]
	}
	return c[whole] + (c[whole+1]-c[whole])*(seconds/60-float64(whole))
}

// month returns a month of traffic that swings 20:1 between night and day,
// with one error in five thousand requests, an incident in the night and one
// at the peak, and a total outage of an hour that ends a day before the end.
func month(days int) (total, failed integral) {
	minutes := days * 24 * 60
	total, failed = make(integral, minutes+1), make(integral, minutes+1)
	for i := range minutes {
		of, hourOfDay := i/1440, i/60%24
		perSecond := 50 + 475*(1-math.Cos(2*math.Pi*(float64(i%1440)/60-3)/24))
		ratio := 0.0002
		switch {
		case of == 10 && hourOfDay >= 2 && hourOfDay < 5:
			ratio = 0.2
		case of == 20 && hourOfDay == 14:
			ratio = 0.02
		case i >= minutes-27*60 && i < minutes-26*60:
			ratio = 1
		}
		total[i+1] = total[i] + perSecond*60
		failed[i+1] = failed[i] + perSecond*60*ratio
	}
	return total, failed
}

// Every recorded window weighs its events by the traffic there was. Over the
// last hours of a month, through which an outage of the day before leaves the
// window of a day and passes joint after joint of the longer ones, each is
// compared with the events that there were.
func TestMonthAgainstTruth(t *testing.T) {
	t.Parallel()
	againstTruth(t, 33, "30d", map[string]time.Duration{"30m": 30 * minute, "1h": hour, "2h": 2 * hour, "6h": 6 * hour, "1d": 24 * hour, "3d": 72 * hour, "30d": 30 * 24 * hour})
}

func TestWeekAgainstTruth(t *testing.T) {
	t.Parallel()
	againstTruth(t, 9, "7d", map[string]time.Duration{"7d": 7 * 24 * hour})
}

// A window of any length is as exact.
func TestOddWindowsAgainstTruth(t *testing.T) {
	t.Parallel()
	againstTruth(t, 4, "1d12h30m", map[string]time.Duration{"1d12h30m": 36*hour + 30*minute})
	againstTruth(t, 14, "11d", map[string]time.Duration{"11d": 11 * 24 * hour})
}

func againstTruth(t *testing.T, days int, period string, lengths map[string]time.Duration) {
	const every = time.Minute
	end := time.Duration(days) * 24 * hour
	total, failed := month(days)
	w := newWorld(t, compile(t, rules.Options{Interval: time.Minute, ScrapeInterval: every},
		availability(t, "a", "99.9", func(s *slo.SLO) { s.Window = window(t, period) })))
	// Each group at a phase of its own, as Prometheus spreads them.
	w.phase = map[string]time.Duration{
		"midwatch-events/": 13 * time.Second, "midwatch-windows": 41 * time.Second, "midwatch-windows-slow": 77 * time.Second,
		"midwatch-period-": 5 * time.Second, "midwatch-budgets": 30 * time.Second,
	}
	w.scrape(`requests_total{app="a"}`, 0, end, every, total.at)
	w.scrape(`failures_total{app="a"}`, 0, end, every, after(1000, failed.at))
	w.replay(0, end)

	truth := func(at, length time.Duration) float64 {
		to, from := at.Seconds(), (at - length).Seconds()
		return (failed.at(to) - failed.at(from)) / (total.at(to) - total.at(from))
	}
	for name, length := range lengths {
		points := w.between(end-5*hour, end, 2*time.Minute, "slo:sli_error:ratio_rate"+name)
		worst, sum := 0.0, 0.0
		for at, got := range points {
			// What is recorded at different moments is some moments old.
			low, high := math.Inf(1), 0.0
			for lag := -minute; lag <= 3*minute; lag += 15 * time.Second {
				low, high = min(low, truth(at-lag, length)), max(high, truth(at-lag, length))
			}
			off := max(0, got/high-1, 1-got/low)
			worst, sum = max(worst, off), sum+off
		}
		mean := sum / float64(len(points))
		t.Logf("%s: %d points, %.4f%% from the truth, at most %.4f%%", name, len(points), mean*100, worst*100)
		// At a joint, one scrape of the outage's hour may weigh twice or not at
		// all: 1.7% of it at a minute, of which a window shows its share.
		if len(points) != 151 || worst > 0.005 || mean > 0.0005 {
			t.Errorf("%s: %d points, %.4f%% from the truth, at most %.4f%%", name, len(points), mean*100, worst*100)
		}
	}
	near(t, "budget left", w.value(end, `slo:period_error_budget_remaining:ratio`), 1-truth(end, lengths[period])/0.001, 0.001)
	near(t, "objective", w.value(end, `slo:objective:ratio`), 0.999, 0)
	near(t, "budget", w.value(end, `slo:error_budget:ratio`), 0.001, 0)
	near(t, "period", w.value(end, `slo:time_period:days`), lengths[period].Hours()/24, 0)
}

func window(t *testing.T, text string) slo.Window {
	t.Helper()
	w, err := slo.ParseWindow(text)
	if err != nil {
		t.Fatal(err)
	}
	return w
}
