package incident_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// gate is a provider whose answers wait until it opens.
type gate struct {
	open chan struct{}

	mu   sync.Mutex
	sent map[string]int // by page
}

func (g *gate) Edits(string) bool { return false }

func (g *gate) Send(ctx context.Context, p page.Page) (string, error) {
	g.mu.Lock()
	g.sent[fmt.Sprint(p.Incident.ID, " ", p.Kind, " ", p.To.Address)]++
	g.mu.Unlock()
	select {
	case <-g.open:
		return "", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func (g *gate) count() (pages, sends int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.sent {
		pages, sends = pages+1, sends+n
	}
	return pages, sends
}

// eventually polls for a while.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.After(within)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", within, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// When the database is away for longer than a replica may be without a beat,
// and sends end meanwhile, nobody takes those for a dead one's and sends them
// again; and what could not be kept is said, and taken when it is back.
func TestAnOutageOfTheDatabaseRepeatsNoPage(t *testing.T) {
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	spec := servers.PostgresSpec{Dir: t.TempDir(), Listen: addr, Password: "x"}
	server, err := servers.StartPostgres(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	url, err := server.CreateDatabase(t.Context(), "outage")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{open: make(chan struct{}), sent: map[string]int{}}
	engines := []*incident.Engine{replica(t, url, g), replica(t, url, g)}
	const many = 12 // both have some in hand: each sends 8 at once
	if err := engines[0].Receive(t.Context(), burningServices(many)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all pages are on their way", 20*time.Second, func() bool { _, n := g.count(); return n == many })

	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	away := time.Now()
	refused, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	if err := engines[1].Receive(refused, burningServices(many+1)); err == nil {
		t.Error("alerts are accepted that are kept nowhere")
	}
	cancel()
	close(g.open) // accepted, and nobody can keep that
	eventually(t, "the time", time.Minute, func() bool { return time.Since(away) > 12*time.Second })
	if server, err = servers.StartPostgres(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Discard(); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "alerts are accepted again", 20*time.Second, func() bool {
		return engines[1].Receive(t.Context(), burningServices(many+1)) == nil
	})
	eventually(t, "the new one is paged", 20*time.Second, func() bool { n, _ := g.count(); return n == many+1 })
	eventually(t, "some time", time.Minute, func() bool { return time.Since(away) > 20*time.Second })
	if pages, sends := g.count(); sends != pages {
		t.Errorf("%d pages were sent %d times", pages, sends)
	}
}

func replica(t *testing.T, url string, g *gate) *incident.Engine {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	e, err := incident.New(incident.Config{
		Store: ledger{s}, Sender: g, Logger: discard(), EvidenceWait: -1, PagesPerMinute: -1, Poll: 200 * time.Millisecond,
		Responders: rota{step: func(time.Time, alert.Incident) incident.Step {
			return incident.Step{Notices: []incident.Notice{{To: to("zhang", "wecom")}}, Wait: time.Hour, Step: 1}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Log(err)
		}
	})
	return e
}

func burningServices(n int) []alert.Alert {
	alerts := make([]alert.Alert, n)
	at := time.Now()
	for i := range alerts {
		alerts[i] = with(burning(availability, alert.P2, "hangzhou"), "service", fmt.Sprint("service-", i))
		alerts[i].StartsAt, alerts[i].EndsAt = at, at.Add(time.Hour)
	}
	return alerts
}

// Both databases take whatever an alert may be called.
func TestAnAlertWithLongLabelsIsPaged(t *testing.T) {
	server, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Discard(); err != nil {
			t.Error(err)
		}
	})
	url, err := server.CreateDatabase(t.Context(), "long")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{open: make(chan struct{}), sent: map[string]int{}}
	close(g.open)
	e := replica(t, url, g)
	alerts := burningServices(3)
	for i, name := range []model.LabelName{"service", "slo"} {
		alerts[i].Labels[name] = model.LabelValue(noise(alert.MaxLabel))
	}
	alerts[2].Labels = model.LabelSet{"cluster": "hangzhou", "x": model.LabelValue(noise(alert.MaxLabel))}
	if err := e.Receive(t.Context(), alerts); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two pages; the third is a P3's", 10*time.Second, func() bool { n, _ := g.count(); return n >= 2 })
}

// noise is a text that nothing compresses, and of which each character is
// escaped where slashes are.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(' ' + rand.IntN('~'-' '))
	}
	return string(b)
}
