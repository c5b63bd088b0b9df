package incident_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// The test binary started again is a Midwatch that the crash test kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MIDWATCH_CRASH_DIR"); dir != "" {
		os.Exit(crashChild(dir))
	}
	goleak.VerifyTestMain(m)
}

// ledger is the real store as the engine wants it.
type ledger struct{ *store.Store }

func (l ledger) Update(ctx context.Context, f func(incident.Tx) error) error {
	return l.Store.Update(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) UpdateLater(ctx context.Context, f func(incident.Tx) error) error {
	return l.Store.UpdateLater(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) View(ctx context.Context, f func(incident.Tx) error) error {
	return l.Store.View(ctx, func(tx *store.Tx) error { return f(tx) })
}

var _ incident.Store = ledger{}

func openLedger(t testing.TB) ledger {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: filepath.Join(t.TempDir(), "midwatch.db")})
	if err != nil {
		t.Fatal(err)
	}
	return ledger{s}
}

// rota is who is on call in tests: zhang with two contacts, from minute
// handOff on li; working hours are 9 to 18 UTC.
type rota struct {
	begun   time.Time
	handOff time.Duration

	step  func(time.Time, alert.Incident) incident.Step     // nil: one step
	route func(model.LabelSet) incident.Route               // nil: all the same
	muted func(time.Time, model.LabelSet) (time.Time, bool) // by a maintenance window; nil: nothing
}

func (r rota) Route(of model.LabelSet) incident.Route {
	if r.route != nil {
		return r.route(of)
	}
	return incident.Route{Policy: "default"}
}

// Step pages whoever is on call: at P1 by all contacts each 5 minutes, at P2
// by the first one, and again after 15 minutes, below that by the first one.
func (r rota) Step(at time.Time, inc alert.Incident) incident.Step {
	if r.step != nil {
		return r.step(at, inc)
	}
	contacts := r.Contacts(at, inc)
	if strings.Contains(inc.Key, "MidwatchPageUndeliverable") {
		contacts = []page.Contact{{User: "admin", Channel: "slack", Address: "#ops"}}
	}
	s := incident.Step{Cycle: inc.Cycle + 1, Name: "step 1"}
	switch {
	case inc.Level == alert.P1:
		s.Wait = 5 * time.Minute
	case inc.Level == alert.P2 && inc.Cycle == 0:
		s.Wait = 15 * time.Minute
		fallthrough
	default:
		contacts = contacts[:1]
	}
	for _, c := range contacts {
		s.Notices = append(s.Notices, incident.Notice{To: c})
	}
	return s
}

func (r rota) Ways(user string, _ alert.Level) []incident.Notice {
	return []incident.Notice{{To: page.Contact{User: user, Channel: "wecom", Address: user}}, {To: page.Contact{User: user, Channel: "email", Address: user + "@example.com"}}}
}

func (r rota) Muted(at time.Time, of model.LabelSet) (why string, until time.Time, ok bool) {
	if r.muted == nil {
		return "", time.Time{}, false
	}
	until, ok = r.muted(at, of)
	return "maintenance", until, ok
}

func (r rota) Contacts(at time.Time, _ alert.Incident) []page.Contact {
	user := "zhang"
	if r.handOff > 0 && at.Sub(r.begun) >= r.handOff {
		user = "li"
	}
	return []page.Contact{{User: user, Channel: "wecom", Address: user}, {User: user, Channel: "email", Address: user + "@example.com"}}
}

func (r rota) WorkingTime(at time.Time, _ alert.Incident) time.Time {
	nine := at.Truncate(24 * time.Hour).Add(9 * time.Hour)
	switch {
	case at.Before(nine):
		return nine
	case at.Before(nine.Add(9 * time.Hour)):
		return at
	}
	return nine.Add(24 * time.Hour)
}

// burning is an alert as Midwatch's rules make them.
func burning(slo string, level alert.Level, cluster string) alert.Alert {
	return alert.Alert{
		Labels: model.LabelSet{
			"alertname": "SLOErrorBudgetBurn", "service": "payment-service", "slo": model.LabelValue(slo),
			"severity": model.LabelValue(level.String()), "cluster": model.LabelValue(cluster),
		},
		State: alert.Firing,
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
