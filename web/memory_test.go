package web

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/silence"
)

// memory stands in for the alerts and silences of the engine: what is received
// is listed, silenced by what is saved. It follows a clock of its own.
type memory struct {
	mu       sync.Mutex
	now      func() time.Time
	alerts   []alert.Alert
	silences []silence.Silence
	acted    []string
	fail     error
}

var (
	_ Alerts   = (*memory)(nil)
	_ Silences = (*memory)(nil)
)

func (m *memory) Receive(_ context.Context, alerts []alert.Alert) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range alerts {
		m.alerts = slices.DeleteFunc(m.alerts, func(b alert.Alert) bool { return b.Labels.Equal(a.Labels) })
		if a.State == alert.Firing {
			m.alerts = append(m.alerts, a)
		}
	}
	return m.fail
}

func (m *memory) Alerts(context.Context) (list []AlertStatus, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.alerts {
		status := AlertStatus{Alert: a, Policy: "payments"}
		for _, s := range m.silences {
			if _, ok := s.Covers(m.now()); ok && s.Matches(a.Labels) {
				status.SilencedBy = append(status.SilencedBy, s.ID)
			}
		}
		list = append(list, status)
	}
	return list, m.fail
}

func (m *memory) Silences(context.Context) ([]silence.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.silences), m.fail
}

func (m *memory) Silence(_ context.Context, id string) (silence.Silence, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.silences {
		if s.ID == id {
			return s, m.fail
		}
	}
	return silence.Silence{}, ErrNotFound
}

func (m *memory) SaveSilence(_ context.Context, s silence.Silence, actor string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.silences, func(o silence.Silence) bool { return o.ID == s.ID })
	if s.ID != "" && i < 0 {
		return "", ErrNotFound
	}
	m.acted = append(m.acted, "save by "+actor)
	if s.ID == "" {
		s.ID = fmt.Sprintf("%08d-0000-4000-8000-000000000000", len(m.silences)+1)
		m.silences = append(m.silences, s)
	} else {
		m.silences[i] = s
	}
	return s.ID, m.fail
}

func (m *memory) ExpireSilence(_ context.Context, id, actor string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, s := range m.silences {
		if s.ID == id {
			m.silences[i].EndsAt = m.now()
			m.acted = append(m.acted, "expire by "+actor)
			return m.fail
		}
	}
	return ErrNotFound
}

// deeds returns what was done.
func (m *memory) deeds() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.acted, ", ")
}

// await returns the first alert that is received.
func (m *memory) await(t *testing.T, most time.Duration) alert.Alert {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(most); ; <-tick.C {
		list, err := m.Alerts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			return list[0].Alert
		}
		if time.Now().After(deadline) {
			t.Fatal("no alert came")
		}
	}
}
