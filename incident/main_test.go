package incident_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
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
type ledger struct{ *store.SQLite }

func (l ledger) Update(ctx context.Context, f func(incident.Tx) error) error {
	return l.SQLite.Update(ctx, func(tx *store.Tx) error { return f(tx) })
}

func (l ledger) View(ctx context.Context, f func(incident.Tx) error) error {
	return l.SQLite.View(ctx, func(tx *store.Tx) error { return f(tx) })
}

var _ incident.Store = ledger{}

func openLedger(t testing.TB) ledger {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "midwatch.db"))
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
}

// Route says nothing special.
func (r rota) Route(model.LabelSet) incident.Route { return incident.Route{Policy: "default"} }

// Step has all contacts of who is on call, at once.
func (r rota) Step(at time.Time, inc alert.Incident) (s incident.Step) {
	for _, c := range r.Contacts(at, inc) {
		s.Notices = append(s.Notices, incident.Notice{To: c})
	}
	return s
}

func (r rota) Ways(user string, _ alert.Level) []incident.Notice {
	return []incident.Notice{{To: page.Contact{User: user, Channel: "wecom", Address: user}}, {To: page.Contact{User: user, Channel: "email", Address: user + "@example.com"}}}
}

func (r rota) Muted(time.Time, model.LabelSet) (why string, until time.Time, ok bool) {
	return "", time.Time{}, false
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
