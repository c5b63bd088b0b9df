package incident_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

type nowhere struct{}

func (nowhere) Send(context.Context, page.Page) (string, error) { return "", nil }
func (nowhere) Edits(string) bool                               { return false }

// BenchmarkReceive gives alerts a second from one sender, in batches of 100
// of 10,000 alerts in 1,000 groups: durable, first all new, then all known.
func BenchmarkReceive(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		l := openLedger(b)
		e, err := incident.New(incident.Config{Store: l, Responders: rota{}, Sender: nowhere{}, Logger: discard()})
		if err != nil {
			b.Fatal(err)
		}
		alerts := storm(10_000, 1_000)
		b.StartTimer()
		for _, kind := range []string{"new", "known"} {
			begun := time.Now()
			for batch := range 100 {
				if err := e.Receive(b.Context(), alerts[100*batch:100*batch+100]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(10_000/time.Since(begun).Seconds(), kind+"/s")
		}
		b.StopTimer()
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

func storm(n, groups int) []alert.Alert {
	alerts := make([]alert.Alert, n)
	for i := range alerts {
		alerts[i] = alert.Alert{
			Labels: model.LabelSet{
				"alertname": "Down", "severity": "P2", "cluster": "hangzhou",
				"service": model.LabelValue(fmt.Sprint("service-", i%groups)), "instance": model.LabelValue(fmt.Sprint("10.0.0.1:", i)),
			},
			Annotations: model.LabelSet{"summary": "an instance does not answer"},
			State:       alert.Firing, StartsAt: time.Now(), EndsAt: time.Now().Add(4 * time.Minute),
		}
	}
	return alerts
}
