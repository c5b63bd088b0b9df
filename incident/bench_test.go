package incident_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
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

// hook is a webhook that takes 10 ms, and knows which alerts it was told of.
type hook struct {
	mu    sync.Mutex
	calls int
	told  map[string]bool
}

func (*hook) Edits(string) bool { return true }

func (h *hook) Send(_ context.Context, p page.Page) (string, error) {
	<-time.After(10 * time.Millisecond)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	for _, a := range p.Incident.Alerts {
		h.told[a.Label("instance")] = true
	}
	return "incident", nil
}

func (h *hook) state() (calls, told int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls, len(h.told)
}

// BenchmarkPaging gives how long it takes from the first of 50,000 alerts in
// 1,000 groups until all of them are in pages, and how many pages that are.
func BenchmarkPaging(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		l := openLedger(b)
		h := &hook{told: map[string]bool{}}
		e, err := incident.New(incident.Config{
			Store: l, Responders: rota{}, Sender: h, Logger: discard(), PagesPerMinute: -1, PerChannel: func(string) int { return 64 },
		})
		if err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		alerts := storm(50_000, 1_000)
		b.StartTimer()
		begun := time.Now()
		for batch := range slices.Chunk(alerts, 100) {
			if err := e.Receive(ctx, batch); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(time.Since(begun).Seconds(), "s-accepted")
		poll(b, func() bool { _, told := h.state(); return told == len(alerts) })
		b.ReportMetric(time.Since(begun).Seconds(), "s-paged")
		calls, _ := h.state()
		b.ReportMetric(float64(calls), "pages")
		b.StopTimer()
		stop()
		if err := errors.Join(<-done, l.Close()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// bell notes when each alert was first told.
type bell struct {
	mu   sync.Mutex
	rang map[string]time.Time
}

func (*bell) Edits(string) bool { return false }

func (b *bell) Send(_ context.Context, p page.Page) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.rang[p.Incident.Service]; !ok {
		b.rang[p.Incident.Service] = time.Now()
	}
	return "", nil
}

// BenchmarkLatency gives the time from an alert's arrival to the provider, for
// P1s that wait for no evidence, while 1,000 other alerts arrive each second.
func BenchmarkLatency(b *testing.B) {
	l := openLedger(b)
	rings := &bell{rang: map[string]time.Time{}}
	e, err := incident.New(incident.Config{
		Store: l, Responders: rota{}, Sender: rings, Logger: discard(), PagesPerMinute: -1, EvidenceWait: -1,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	var work sync.WaitGroup
	work.Go(func() { _ = e.Run(ctx) })
	work.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for all := storm(100_000, 2_000); ctx.Err() == nil; all = all[100:] {
			<-tick.C
			_ = e.Receive(ctx, all[:100])
		}
	})
	sent := map[string]time.Time{}
	for b.Loop() {
		a := storm(1, 1)[0]
		service := fmt.Sprint("urgent-", len(sent))
		a.Labels["service"], a.Labels["severity"] = model.LabelValue(service), "P1"
		sent[service] = time.Now()
		if err := e.Receive(ctx, []alert.Alert{a}); err != nil {
			b.Fatal(err)
		}
		<-time.After(7 * time.Millisecond)
	}
	var took []time.Duration
	poll(b, func() bool {
		rings.mu.Lock()
		defer rings.mu.Unlock()
		took = took[:0]
		for service, at := range sent {
			if rang, ok := rings.rang[service]; ok {
				took = append(took, rang.Sub(at))
			}
		}
		return len(took) == len(sent)
	})
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
	stop()
	work.Wait()
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkQueue gives what a look at an outbox costs in which 50,000 pages
// wait, of which none is due.
func BenchmarkQueue(b *testing.B) {
	l := openLedger(b)
	inc := alert.Incident{Key: "a", Level: alert.P2, Status: alert.Open, OpenedAt: time.Now()}
	err := l.Update(b.Context(), func(tx incident.Tx) (err error) {
		if inc.ID, err = tx.AddIncident(inc); err != nil {
			return err
		}
		pages := make([]page.Page, 50_000)
		for i := range pages {
			pages[i] = page.Page{Key: fmt.Sprint(i), Kind: page.Opened, To: to(fmt.Sprint("user-", i%100), "wecom"), Incident: inc}
		}
		return tx.Enqueue(time.Now().Add(time.Hour), pages...)
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		err := l.View(b.Context(), func(tx incident.Tx) error {
			_, err := tx.DuePages()
			_, errNext := tx.NextDue()
			return errors.Join(err, errNext)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
