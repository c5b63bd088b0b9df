package incident_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// At is a time of a timeline, in minutes. It begins on a Saturday at
// midnight, UTC.
type At float64

func (a At) duration() time.Duration { return time.Duration(float64(a) * float64(time.Minute)) }

// Window is a span of a timeline, in minutes.
type Window struct{ from, to At }

// Between returns the span between two times, in minutes.
func Between(from, to At) Window { return Window{from, to} }

// timeline is a scenario: what happens when, and which pages that must cause.
// Every page must be wanted, and every wanted page must come.
type timeline struct {
	t       *testing.T
	rota    rota
	config  incident.Config // what a test sets of it
	fail    func(p page.Page, attempt int) error
	edits   string   // the channel whose messages can be changed
	broken  []Window // when the store keeps nothing
	actions []action
	wants   []want

	ledger   ledger
	engine   *incident.Engine
	registry *prometheus.Registry
	begun    time.Time
	mu       sync.Mutex
	sent     []sentPage
}

type action struct {
	at   At
	do   func(ctx context.Context) error
	name string
}

type want struct {
	in   Window
	page string
}

type sentPage struct {
	at   At
	text string
	page page.Page
}

func newTimeline(t *testing.T) *timeline { return &timeline{t: t} }

// Push sends alerts at a time, as a Prometheus does that sends them again
// every minute: they expire after 4 minutes.
func (s *timeline) Push(at At, alerts ...alert.Alert) {
	s.actions = append(s.actions, action{at, func(ctx context.Context) error { return s.push(ctx, at, alerts) }, "push"})
}

// Keep sends the alerts every minute of the window.
func (s *timeline) Keep(w Window, alerts ...alert.Alert) {
	for at := w.from; at <= w.to; at++ {
		sent := slices.Clone(alerts)
		for i := range sent {
			if sent[i].StartsAt.IsZero() {
				sent[i].StartsAt = epoch.Add(w.from.duration())
			}
		}
		s.Push(at, sent...)
	}
}

// epoch is when synctest's clock starts.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *timeline) push(ctx context.Context, at At, alerts []alert.Alert) error {
	alerts = slices.Clone(alerts)
	for i := range alerts {
		a := &alerts[i]
		if a.StartsAt.IsZero() {
			a.StartsAt = s.begun.Add(at.duration())
		}
		a.EndsAt = s.begun.Add(at.duration())
		if a.State == alert.Firing {
			a.EndsAt = a.EndsAt.Add(4 * time.Minute)
		}
	}
	return s.engine.Receive(ctx, alerts)
}

func over(a alert.Alert) alert.Alert { a.State = alert.Resolved; return a }

// Do does something with the engine at a time.
func (s *timeline) Do(at At, name string, do func(ctx context.Context, e *incident.Engine) error) {
	s.actions = append(s.actions, action{at, func(ctx context.Context) error { return do(ctx, s.engine) }, name})
}

func (s *timeline) Acknowledge(at At, id int64) {
	s.Do(at, "acknowledge", func(ctx context.Context, e *incident.Engine) error {
		_, err := e.Acknowledge(ctx, id, "zhang")
		return err
	})
}

func (s *timeline) Resolve(at At, id int64) {
	s.Do(at, "resolve", func(ctx context.Context, e *incident.Engine) error {
		_, err := e.Resolve(ctx, id, "zhang")
		return err
	})
}

// Status says how the incident must stand at a time.
func (s *timeline) Status(at At, id int64, status alert.Status, level alert.Level, stale bool) {
	s.Do(at, fmt.Sprintf("status of %d", id), func(ctx context.Context, e *incident.Engine) error {
		story, err := e.Get(ctx, id)
		if inc := story.Incident; err == nil && (inc.Status != status || inc.Level != level || inc.Stale != stale) {
			err = fmt.Errorf("it is %s, %s, stale %t; want %s, %s, %t", inc.Status, inc.Level, inc.Stale, status, level, stale)
		}
		return err
	})
}

// Incidents says how many incidents there must be at a time, resolved ones too.
func (s *timeline) Incidents(at At, n int) {
	s.Do(at, "count incidents", func(ctx context.Context, e *incident.Engine) error {
		list, err := e.List(ctx, true)
		if err == nil && len(list) != n {
			err = fmt.Errorf("%d incidents, want %d", len(list), n)
		}
		return err
	})
}

// Want says which pages must be sent within a window: "kind user/channel #incident".
func (s *timeline) Want(in Window, pages ...string) {
	for _, p := range pages {
		s.wants = append(s.wants, want{in, p})
	}
}

// Send is the provider.
func (s *timeline) Send(ctx context.Context, p page.Page) (string, error) {
	at := At(time.Since(s.begun).Minutes())
	if s.fail != nil {
		if err := s.fail(p, p.Attempt); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	text := fmt.Sprintf("%s %s/%s #%d", p.Kind, p.To.User, p.To.Channel, p.Incident.ID)
	s.sent = append(s.sent, sentPage{at, text, p})
	ref := ""
	if s.Edits(p.To.Channel) {
		ref = fmt.Sprintf("message %d", len(s.sent))
	}
	return ref, ctx.Err()
}

// Edits tells whether messages can be changed.
func (s *timeline) Edits(channel string) bool { return channel == s.edits && s.edits != "" }

// Run plays the timeline until a time and compares.
func (s *timeline) Run(until At) {
	s.t.Helper()
	synctest.Test(s.t, func(t *testing.T) {
		s.begun = time.Now()
		s.rota.begun = s.begun
		l := openLedger(t)
		s.start(t, l)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.engine.Run(ctx) }()
		slices.SortStableFunc(s.actions, func(a, b action) int { return int(1e3 * (a.at - b.at)) })
		for _, a := range s.actions {
			s.pass(a.at)
			if err := a.do(ctx); err != nil {
				t.Errorf("%s at %v: %v", a.name, a.at, err)
			}
		}
		s.pass(until)
		stop()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
		s.compare(t)
	})
}

func (s *timeline) start(t *testing.T, l ledger) {
	s.ledger = l
	c := s.config
	c.Store, c.Responders, c.Logger = breaking{l, s}, s.rota, discard()
	if c.Sender == nil {
		c.Sender = s
	}
	s.registry = prometheus.NewPedanticRegistry()
	c.Registerer = s.registry
	var err error
	if s.engine, err = incident.New(c); err != nil {
		t.Fatal(err)
	}
}

// breaking is a store that fails at times.
type breaking struct {
	ledger
	*timeline
}

func (b breaking) Update(ctx context.Context, f func(incident.Tx) error) error {
	if b.fails() {
		return errors.New("disk full")
	}
	return b.ledger.Update(ctx, f)
}

func (b breaking) UpdateLater(ctx context.Context, f func(incident.Tx) error) error {
	if b.fails() {
		return errors.New("disk full")
	}
	return b.ledger.UpdateLater(ctx, f)
}

func (b breaking) fails() bool {
	at := At(time.Since(b.begun).Minutes())
	return slices.ContainsFunc(b.broken, func(w Window) bool { return at >= w.from && at < w.to })
}

// pass lets the time come.
func (s *timeline) pass(at At) {
	<-time.After(time.Until(s.begun.Add(at.duration())))
	synctest.Wait()
}

func (s *timeline) compare(t *testing.T) {
	sent := slices.Clone(s.sent)
	for _, w := range s.wants {
		i := slices.IndexFunc(sent, func(p sentPage) bool { return p.text == w.page && p.at >= w.in.from && p.at <= w.in.to })
		if i < 0 {
			t.Errorf("no page %q between %v and %v", w.page, w.in.from, w.in.to)
			continue
		}
		sent = slices.Delete(sent, i, i+1)
	}
	for _, p := range sent {
		t.Errorf("page %q at %.2f is not wanted", p.text, float64(p.at))
	}
}

// pages returns the pages sent whose text begins so.
func (s *timeline) pages(prefix string) (found []page.Page) {
	for _, p := range s.sent {
		if strings.HasPrefix(p.text, prefix) {
			found = append(found, p.page)
		}
	}
	return found
}
