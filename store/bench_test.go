package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

type updater interface {
	Update(ctx context.Context, f func(*store.Tx) error) error
	Close() error
}

// BenchmarkIntake gives alerts a second that one sender gets committed, in
// batches of 100 of 10,000 new alerts in 1,000 incidents, as the engine does.
func BenchmarkIntake(b *testing.B) {
	b.Run("sqlite", func(b *testing.B) {
		for b.Loop() {
			s, err := store.OpenSQLite(b.Context(), filepath.Join(b.TempDir(), "midwatch.db"))
			if err != nil {
				b.Fatal(err)
			}
			takeIn(b, s)
		}
	})
	b.Run("postgresql", func(b *testing.B) {
		p, err := servers.StartPostgres(b.Context(), servers.PostgresSpec{Dir: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		defer p.Discard()
		n := 0
		for b.Loop() {
			n++
			url, err := p.CreateDatabase(b.Context(), fmt.Sprint("bench", n))
			if err != nil {
				b.Fatal(err)
			}
			s, err := store.OpenPostgres(b.Context(), url)
			if err != nil {
				b.Fatal(err)
			}
			takeIn(b, s)
		}
	})
}

func takeIn(b *testing.B, s updater) {
	b.Helper()
	begun := time.Now()
	for batch := range 100 {
		if err := s.Update(b.Context(), func(tx *store.Tx) error { return intake(tx, batch) }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(10_000/time.Since(begun).Seconds(), "alerts/s")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

// intake adds alerts to the incidents of their services, which it opens when
// there are none.
func intake(tx *store.Tx, batch int) error {
	now := time.Now()
	var alerts []*alert.Alert
	var keys []string
	var fps []model.Fingerprint
	for i := range 100 {
		n := 100*batch + i
		a := &alert.Alert{
			Labels: model.LabelSet{
				"alertname": "Down", "severity": "P2", "cluster": "hangzhou",
				"service": model.LabelValue(fmt.Sprint("service-", n%1000)), "instance": model.LabelValue(fmt.Sprint("10.0.0.1:", n)),
			},
			Annotations: model.LabelSet{"summary": "an instance does not answer"},
			State:       alert.Firing, StartsAt: now, EndsAt: now.Add(4 * time.Minute), UpdatedAt: now,
		}
		alerts, keys, fps = append(alerts, a), append(keys, a.Label("service")), append(fps, a.Fingerprint())
	}
	if _, err := tx.LatestAlerts(fps); err != nil {
		return err
	}
	found, err := tx.UnresolvedIncidents(keys)
	if err != nil {
		return err
	}
	open := map[string]alert.Incident{}
	for _, inc := range found {
		open[inc.Key] = inc
	}
	for _, a := range alerts {
		inc, ok := open[a.Label("service")]
		if !ok {
			inc = alert.Incident{Key: a.Label("service"), Service: a.Label("service"), Title: "down", Level: alert.P2, Status: alert.Open, OpenedAt: now}
			if inc.ID, err = tx.AddIncident(inc); err != nil {
				return err
			}
			p := page.Page{Key: fmt.Sprint(inc.ID, "/1"), Kind: page.Opened, At: now, Incident: inc, To: page.Contact{User: "z", Channel: "wecom"}}
			if err := tx.Enqueue(now, p); err != nil {
				return err
			}
		}
		a.IncidentID = inc.ID
		if err := tx.AddEvents(inc.ID, alert.Event{At: now, Kind: alert.EventAlert, Text: "fires: 10.0.0.1"}); err != nil {
			return err
		}
		if err := tx.SaveIncident(inc); err != nil {
			return err
		}
	}
	return tx.AddAlerts(alerts)
}
