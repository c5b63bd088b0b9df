package simulate_test

import (
	"bytes"
	"image/png"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/rules/simulate"
	"github.com/midwatch-slo/midwatch/rules/simulate/picture"
	"github.com/midwatch-slo/midwatch/slo"
)

var begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

func hours(h float64) time.Time { return begin.Add(time.Duration(h * float64(time.Hour))) }

// shop is an SLO of two groups.
const shop = `
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: availability}
spec:
  service: shop
  objective: 99
  window: 7d
  group_by: [path]
  sli: {events: {errors: failures_total, total: requests_total}}
`

// history has 10 requests a second of each of two paths. Of /pay all fail from
// 6:00 to 6:30, of /search one in fifty all the time.
func history(t *testing.T) *replay.Memory {
	t.Helper()
	m := &replay.Memory{}
	for path, failed := range map[string]func(float64) float64{
		"/pay":    func(s float64) float64 { return 10 * max(0, min(s, 6.5*3600)-6*3600) },
		"/search": func(s float64) float64 { return 0.2 * s },
	} {
		total := m.Series(labels.FromStrings("__name__", "requests_total", "path", path))
		bad := m.Series(labels.FromStrings("__name__", "failures_total", "path", path))
		for s := 0.0; s <= 12*3600; s += 15 {
			at := begin.UnixMilli() + int64(s)*1000
			if err := total.Add(at, 10*s, nil); err != nil {
				t.Fatal(err)
			}
			if err := bad.Add(at, failed(s), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	return m
}

func run(t *testing.T, text string, change func(*simulate.Config)) simulate.Report {
	t.Helper()
	slos, err := slo.Parse("slo.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	c := simulate.Config{SLOs: slos, Source: replay.NewLocal(history(t)), From: hours(1), To: hours(12)}
	if change != nil {
		change(&c)
	}
	r, err := simulate.Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.SLOs) != 2 || r.SLOs[0].Labels["path"] != "/pay" || r.SLOs[1].Labels["path"] != "/search" {
		t.Fatalf("want a row for each path, got %+v", r.SLOs)
	}
	return r
}

// Each group has its incidents and alerts. A burn of twice the budget is one
// long incident, and no tier of these eleven hours finds it.
func TestEachGroupIsJudged(t *testing.T) {
	t.Parallel()
	r := run(t, shop, nil)
	pay, search := r.SLOs[0], r.SLOs[1]
	if len(pay.Incidents) != 1 || pay.Incidents[0].Missed() || len(pay.Alerts) < 2 {
		t.Fatalf("/pay: %+v", pay)
	}
	i, first := pay.Incidents[0], pay.Alerts[*pay.Incidents[0].First]
	// Half an hour of 168 hours of a hundredth: 29.8%.
	if i.Spent < 0.29 || i.Spent > 0.305 || i.Worst != 1 || i.From.Sub(hours(6)).Abs() > time.Minute || i.To.Sub(hours(6.5)).Abs() > time.Minute {
		t.Errorf("/pay: %+v", i)
	}
	if first.Tier != "1h5m" || first.Severity != "P2" || !first.Wakes() || time.Duration(i.After) != first.From.Sub(i.From) {
		t.Errorf("/pay: %+v after %s", first, i.After)
	}
	for _, a := range pay.Alerts {
		if a.False {
			t.Errorf("/pay: %+v is false", a)
		}
	}
	if len(search.Alerts) != 0 || len(search.Incidents) != 1 || !search.Incidents[0].Missed() {
		t.Errorf("/search: alerts %+v, incidents %+v", search.Alerts, search.Incidents)
	}
	// Eleven hours of twice the budget of 168.
	if i := search.Incidents[0]; i.Spent < 0.128 || i.Spent > 0.133 || i.To.Sub(hours(12)).Abs() > time.Minute {
		t.Errorf("/search: %+v", i)
	}
	if search.Errors < 0.2*11*3600*0.99 || search.Errors > 0.2*11*3600*1.01 || search.Events < 10*11*3600*0.99 {
		t.Errorf("/search: %v of %v events", search.Errors, search.Events)
	}
}

// What is known beforehand is judged instead of what is found: an alert
// outside of it is false, and one before it began needed no time.
func TestKnownIncidents(t *testing.T) {
	t.Parallel()
	r := run(t, shop, func(c *simulate.Config) {
		c.Incidents = []simulate.Known{
			{Name: "before", From: hours(2), To: hours(2.5)},
			{Name: "late", From: hours(6.25), To: hours(7)},
			{Name: "another's", SLO: "shop/other", From: hours(6), To: hours(7)},
			{Name: "over", From: hours(-5), To: hours(-4)},
		}
	})
	pay := r.SLOs[0]
	if len(pay.Incidents) != 2 || !pay.Incidents[0].Missed() || pay.Incidents[1].Missed() || pay.Incidents[1].After != 0 {
		t.Errorf("incidents: %+v", pay.Incidents)
	}
	none := run(t, shop, func(c *simulate.Config) { c.Spent = 0.5 })
	for _, a := range none.SLOs[0].Alerts {
		if !a.False {
			t.Errorf("%+v is not false, though there was no incident", a)
		}
	}
	if len(none.SLOs[0].Alerts) == 0 {
		t.Error("no alert")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	before := run(t, shop, nil)
	after := run(t, shop+"  alerts:\n    tiers: [{long: 1h, short: 5m, burn_rate: 14.4, severity: P2}, {long: 6h, short: 30m, burn_rate: 1.5, severity: P3}]\n", nil)
	c := simulate.Compare(before, after)
	if len(c.SLOs) != 2 {
		t.Fatalf("%+v", c)
	}
	pay, search := c.SLOs[0], c.SLOs[1]
	if pay.Kept != 1 && pay.Kept != 2 || len(pay.Gone) == 0 || pay.Missed != 0 {
		t.Errorf("/pay: %+v", pay)
	}
	if search.MissedBefore != 1 || search.Missed != 0 || len(search.New) == 0 || search.New[0].Tier != "6h30m" || search.New[0].Severity != "P3" {
		t.Errorf("/search: %+v", search)
	}
	if same := simulate.Compare(before, before); len(same.SLOs[0].New)+len(same.SLOs[0].Gone) != 0 {
		t.Errorf("changes without a change: %+v", same)
	}
}

// A picture is drawn of whatever there is: nothing, a budget spent many times
// over, more SLOs than it shows.
func TestPictureOfAnything(t *testing.T) {
	t.Parallel()
	r := run(t, shop, nil)
	empty := simulate.SLO{Service: "shop", Name: "empty", Objective: 99.999, Window: "30d"}
	spent := r.SLOs[0]
	spent.Budget.Points = append([]simulate.Point{{At: hours(2), Value: -250}}, spent.Budget.Points...)
	spent.Budget.Lowest, spent.Budget.End = spent.Budget.Points[0], -250
	r.SLOs = append(r.SLOs, empty, spent)
	for range 20 {
		r.SLOs = append(r.SLOs, empty)
	}
	var b bytes.Buffer
	if err := picture.Write(&b, r, time.UTC); err != nil {
		t.Fatal(err)
	}
	if c, err := png.DecodeConfig(&b); err != nil || c.Width != 1920 || c.Height < 5000 || c.Height > 20_000 {
		t.Errorf("%+v, %v", c, err)
	}
}
