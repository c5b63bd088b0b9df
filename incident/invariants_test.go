package incident_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
)

// fate lets people, alerts and providers do what they like, and looks at what
// must hold whatever they do.
type fate struct {
	t    *testing.T
	rnd  *rand.Rand
	line *timeline

	firing   map[string]alert.Alert
	silences []string
	down     map[string]time.Time // channels, until when
	gone     map[string]bool      // channels that know nobody
}

func TestWhateverHappensNobodyIsForgottenOrWokenInVain(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			f := &fate{
				t: t, rnd: rand.New(rand.NewPCG(seed, 11)), line: newTimeline(t), firing: map[string]alert.Alert{},
				down: map[string]time.Time{}, gone: map[string]bool{},
			}
			f.play()
		})
	}
}

func (f *fate) play() {
	s := f.line
	s.rota.step = func(_ time.Time, inc alert.Incident) (p incident.Step) {
		people := []string{"zhang", "li", "wang"}
		p.Step, p.Cycle, p.Wait, p.AckTimeout = inc.Step+1, inc.Cycle, 5*time.Minute, 40*time.Minute
		user := people[inc.Step%3]
		if p.Step == 3 {
			p.Step, p.Cycle = 0, inc.Cycle+1
		}
		if len(inc.Assigned) > 0 {
			user, p.Step, p.Cycle = inc.Assigned[0], 0, inc.Cycle+1
		}
		if inc.Level != alert.P1 && p.Step == 0 {
			p.Wait = 0
		}
		for _, u := range append([]string{user}, inc.Responders...) {
			p.Notices = append(p.Notices, incident.Notice{To: to(u, "wecom")}, incident.Notice{To: to(u, "email"), After: 2 * time.Minute})
		}
		return p
	}
	s.config.Sender = f
	s.config.Evidence = &detective{takes: time.Second}
	const steps = 150
	at := At(540) // working hours
	for i := range steps {
		at += At(0.02 + 3*f.rnd.Float64())
		s.Do(at, fmt.Sprint("step ", i), f.step)
		s.Do(at+0.015, "look", f.look)
	}
	s.Run(at + 1)
}

// Send is the provider, and looks whether the page should be.
func (f *fate) Send(_ context.Context, p page.Page) (string, error) {
	f.line.mu.Lock()
	defer f.line.mu.Unlock()
	byItself := p.Kind != page.Called && p.Kind != page.Resolved && p.Kind != page.Updated && p.Kind != page.Bundle
	if inc := p.Incident; byItself && p.Attempt == 1 && (inc.Muted != "" || inc.Status != alert.Open || inc.SnoozedUntil.After(time.Now())) {
		f.t.Errorf("%s to %s of #%d, which is %s, muted %q, snoozed until %s", p.Kind, p.To.User, inc.ID, inc.Status, inc.Muted, inc.SnoozedUntil)
	}
	switch {
	case f.gone[p.To.Channel]:
		return "", &page.SendError{Channel: p.To.Channel, Err: errors.New("no such user")}
	case time.Now().Before(f.down[p.To.Channel]):
		return "", errors.New("connection refused")
	}
	return "", nil
}

func (f *fate) Edits(string) bool { return false }

func (f *fate) step(ctx context.Context, e *incident.Engine) error {
	open, err := e.List(ctx, false)
	if err != nil {
		return err
	}
	if n := f.rnd.IntN(10); n < 4 || len(open) == 0 {
		return f.alerts(ctx, e)
	} else if n < 6 {
		return f.surroundings(ctx, e)
	}
	inc := open[f.rnd.IntN(len(open))]
	switch user := []string{"zhang", "li", "zhao", "qian"}[f.rnd.IntN(4)]; f.rnd.IntN(8) {
	case 0, 1:
		_, err = e.Acknowledge(ctx, inc.ID, user)
	case 2:
		_, err = e.Snooze(ctx, inc.ID, time.Now().Add(time.Duration(1+f.rnd.IntN(30))*time.Minute), user)
	case 3:
		_, err = e.Escalate(ctx, inc.ID, user)
	case 4:
		_, err = e.Reassign(ctx, inc.ID, []string{user}, "boss")
	case 5:
		_, err = e.AddResponders(ctx, inc.ID, []string{user}, "boss")
	case 6:
		_, err = e.Resolve(ctx, inc.ID, user)
	case 7:
		if into := open[f.rnd.IntN(len(open))]; into.ID != inc.ID {
			_, err = e.Merge(ctx, inc.ID, into.ID, user)
		}
	}
	return err
}

// alerts lets one begin or end, and those that fire be sent again.
func (f *fate) alerts(ctx context.Context, e *incident.Engine) error {
	a := burning(fmt.Sprint("slo-", f.rnd.IntN(4)), alert.Level(1+f.rnd.IntN(2)), []string{"hangzhou", "beijing"}[f.rnd.IntN(2)])
	key, now := a.Labels.String(), time.Now()
	var batch []alert.Alert
	if known, ok := f.firing[key]; ok && f.rnd.IntN(2) == 0 {
		delete(f.firing, key)
		known = over(known)
		known.EndsAt = now
		batch = append(batch, known)
	} else if !ok {
		a.StartsAt = now
		f.firing[key] = a
	}
	for _, known := range f.firing {
		known.EndsAt = now.Add(4 * time.Minute)
		batch = append(batch, known)
	}
	return e.Receive(ctx, batch)
}

// surroundings changes silences and providers.
func (f *fate) surroundings(ctx context.Context, e *incident.Engine) (err error) {
	channel := []string{"wecom", "email"}[f.rnd.IntN(2)]
	switch f.rnd.IntN(5) {
	case 0, 1:
		m, err := labels.ParseMatcher(fmt.Sprintf(`slo="slo-%d"`, f.rnd.IntN(4)))
		if err != nil {
			return err
		}
		end := time.Now().Add(time.Duration(1+f.rnd.IntN(20)) * time.Minute)
		id, err := e.SaveSilence(ctx, silence.Silence{Matchers: labels.Matchers{m}, EndsAt: end, CreatedBy: "li"}, "li")
		f.silences = append(f.silences, id)
		return err
	case 2:
		if len(f.silences) > 0 {
			return e.ExpireSilence(ctx, f.silences[f.rnd.IntN(len(f.silences))], "li")
		}
	case 3:
		f.line.mu.Lock()
		defer f.line.mu.Unlock()
		f.down[channel] = time.Now().Add(time.Duration(f.rnd.IntN(20)) * time.Minute)
	case 4:
		f.line.mu.Lock()
		defer f.line.mu.Unlock()
		f.gone[channel] = !f.gone[channel]
	}
	return nil
}

// look sees whether somebody is going to be paged of all that burns.
func (f *fate) look(ctx context.Context, e *incident.Engine) error {
	open, err := e.List(ctx, false)
	if err != nil {
		return err
	}
	for _, inc := range open {
		now, wrong := time.Now(), ""
		until := inc.NextPageAt.Sub(now)
		switch {
		case inc.SnoozedUntil.After(now):
			if inc.Status == alert.Open && (inc.NextPageAt.IsZero() || inc.NextPageAt.After(inc.SnoozedUntil)) {
				wrong = "it is snoozed, and nothing ends that"
			}
		case inc.Status == alert.Acknowledged:
			if inc.NextPageAt.IsZero() || until > 40*time.Minute {
				wrong = "its acknowledgement never ends"
			}
		case inc.Muted != "":
		case inc.Level == alert.P1 && (inc.NextPageAt.IsZero() || until > 5*time.Minute):
			wrong = "nobody will be paged"
		}
		if !inc.NextPageAt.IsZero() && until < -2*time.Second {
			wrong = fmt.Sprintf("its round is overdue for %s", -until)
		}
		if wrong != "" {
			f.t.Errorf("at %s #%d: %s: %+v", now, inc.ID, wrong, inc)
		}
	}
	return nil
}
