package story

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/demo/terminal"
	"github.com/midwatch-slo/midwatch/page"
)

// paged watches until the first page has arrived through every channel, and
// checks what it says.
func (s *story) paged(ctx context.Context) error {
	told := map[string]bool{}
	once := func(key string, style terminal.Style, at time.Time, format string, args ...any) {
		if !told[key] {
			told[key] = true
			s.tell(style, at, format, args...)
		}
	}
	err := poll(ctx, "the page, through every channel", pageWithin+2*time.Minute, func(ctx context.Context) (bool, error) {
		if err := s.watchAlert(ctx, once); err != nil {
			return false, err
		}
		if err := s.watchIncident(ctx, once); err != nil {
			return false, err
		}
		return s.watchPages(ctx, once)
	})
	if err != nil {
		return err
	}
	took := s.pages[0].At.Sub(s.outage)
	s.checks.that(took <= pageWithin, "the page came %.1f s after the first failed payment, want at most %.0f", took.Seconds(), pageWithin.Seconds())
	return s.checkPages(ctx)
}

type once func(key string, style terminal.Style, at time.Time, format string, args ...any)

func (s *story) watchAlert(ctx context.Context, once once) error {
	alerts, err := s.api.alerts(ctx, s.Places.Prometheus[cluster])
	if err != nil {
		return err
	}
	for _, a := range alerts {
		if a.State == "firing" && a.Labels[alert.LabelSLO] == sloName {
			once("alert "+a.Labels[alert.LabelTier], terminal.Bad, a.ActiveAt, "alert fires in %s's Prometheus: %s %s, tier %s",
				cluster, a.Labels[alert.LabelSeverity], a.Labels[alert.LabelSLO], a.Labels[alert.LabelTier])
		}
	}
	return nil
}

func (s *story) watchIncident(ctx context.Context, once once) error {
	all, err := s.api.incidents(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	s.incident = all[0]
	once("incident", terminal.Plain, s.incident.OpenedAt, "incident %d opens: %s (%s)", s.incident.ID, s.incident.Title, s.incident.Level)
	story, err := s.api.incident(ctx, s.incident.ID)
	if err != nil {
		return err
	}
	for _, e := range story.Events {
		if e.Kind == alert.EventEvidence {
			once("evidence", terminal.Plain, e.At, "evidence: %s", describe(story.Evidence, e.Text))
		}
		if e.Kind == alert.EventPageFailed {
			once("failed "+e.Text, terminal.Bad, e.At, "page not sent: %s", e.Text)
		}
	}
	return nil
}

// describe says what the first log pattern of the evidence is.
func describe(all []page.Evidence, otherwise string) string {
	for _, e := range all {
		for _, p := range e.Patterns {
			return fmt.Sprintf("%d log lines like %q, %d in the same time before", p.Count, p.Template, p.Before)
		}
	}
	return otherwise
}

func (s *story) watchPages(ctx context.Context, once once) (bool, error) {
	messages, err := s.api.messages(ctx)
	if err != nil {
		return false, err
	}
	s.pages = messages
	channels := map[string]bool{}
	for _, m := range messages {
		channels[m.Channel] = true
		once("page "+m.Channel, terminal.Bold, m.At, "page arrives: %s, by %s", m.To, m.Channel)
	}
	return channels[byWeCom] && channels[byEmail], nil
}

// acknowledge acknowledges, or waits for a person to do it.
func (s *story) acknowledge(ctx context.Context) error {
	if s.Auto {
		out, err := s.Ack(s.incident.ID)
		if err != nil {
			return err
		}
		s.Terminal.Say(terminal.Dim, "$ %s\n%s", s.HowToAck(s.incident.ID), out)
	} else {
		s.Terminal.Say(terminal.Bold, "acknowledge it, on its page or in another terminal:\n  %s/incidents/%d\n  %s", s.Places.Midwatch, s.incident.ID, s.HowToAck(s.incident.ID))
	}
	left := healAtLatest - healAfter - time.Since(s.outage)
	err := poll(ctx, "the acknowledgement", max(left, 5*time.Second), func(ctx context.Context) (bool, error) {
		story, err := s.api.incident(ctx, s.incident.ID)
		s.incident = story.Incident
		return s.incident.Status != alert.Open, err
	})
	if err != nil && !s.Auto && ctx.Err() == nil {
		s.Terminal.Say(terminal.Dim, "nobody has acknowledged yet; the pool is mended all the same")
		return nil
	}
	if err == nil {
		s.tell(terminal.Good, s.incident.AckedAt, "acknowledged by %s", s.incident.AckedBy)
	}
	return err
}

// recover heals the pool, as the person on call would by a restart.
func (s *story) recover(ctx context.Context) error {
	wait := healAfter
	if s.incident.Status == alert.Open {
		wait = 0
	}
	if err := sleep(ctx, min(wait, max(0, healAtLatest-time.Since(s.outage)))); err != nil {
		return err
	}
	o, err := s.api.pool(ctx, http.MethodPost, "/heal")
	if err != nil {
		return err
	}
	s.tell(terminal.Good, o.HealedAt, "the pool is mended; %d payments have failed", o.Failures)
	return nil
}

// resolved waits until the alert's short window no longer sees the outage.
// In that time nothing else may happen.
func (s *story) resolved(ctx context.Context) error {
	s.Terminal.Say(terminal.Dim, "the alert looks back five minutes: it resolves when those are clean again")
	acked, before := s.incident.Status == alert.Acknowledged, len(s.pages)
	err := poll(ctx, "the resolution", resolveWithin, func(ctx context.Context) (bool, error) {
		story, err := s.api.incident(ctx, s.incident.ID)
		if err == nil {
			s.incident = story.Incident
		}
		return s.incident.Status == alert.Closed, err
	})
	if err != nil {
		return err
	}
	s.tell(terminal.Good, s.incident.ResolvedAt, "incident %d is resolved", s.incident.ID)
	all, err := s.api.incidents(ctx)
	if err != nil {
		return err
	}
	s.checks.that(len(all) == 1, "%d incidents, want the one", len(all))
	s.checks.that(len(s.incident.Alerts) == 1, "the incident has %d alerts, want the one of the fast tier", len(s.incident.Alerts))
	return s.checkSilence(ctx, acked, before)
}
