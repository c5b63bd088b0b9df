package incident_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
)

// detective is evidence that takes a time to find.
type detective struct {
	takes time.Duration
	stays bool // it does not heed its context
	asked atomic.Int32
}

func (d *detective) Collect(ctx context.Context, _ alert.Incident) []page.Evidence {
	d.asked.Add(1)
	found := time.NewTimer(d.takes)
	defer found.Stop()
	done := ctx.Done()
	if d.stays {
		done = nil
	}
	select {
	case <-found.C:
		return []page.Evidence{{Source: "logs", Patterns: []page.LogPattern{{Template: "pool exhausted", Count: 7}}}}
	case <-done:
		return []page.Evidence{{Source: "logs", Problem: "Loki did not answer in time"}}
	}
}

func (d *detective) SLO(context.Context, alert.Incident) page.SLO {
	return page.SLO{Objective: "99.95"}
}

func TestThePageWaitsForEvidence(t *testing.T) {
	pattern := []page.Evidence{{Source: "logs", Patterns: []page.LogPattern{{Template: "pool exhausted", Count: 7}}}}
	for name, c := range map[string]struct {
		detective      *detective
		paged          Window // after the push
		page, incident []page.Evidence
		asked          int32
	}{
		"quick":    {&detective{takes: time.Second}, Between(1*seconds, 1.1*seconds), pattern, pattern, 1},
		"slow":     {&detective{takes: 8 * time.Second}, Between(2.6*seconds, 3.1*seconds), []page.Evidence{{Source: "logs", Problem: "Loki did not answer in time"}}, pattern, 2},
		"stubborn": {&detective{takes: 8 * time.Second, stays: true}, Between(2.9*seconds, 3.1*seconds), []page.Evidence{{Source: "evidence", Problem: "no answer within 3s"}}, pattern, 2},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTimeline(t)
			s.config.Evidence, s.config.Facts = c.detective, c.detective
			s.config.Link = func(int64) string { return "http://midwatch/incidents/1" }
			s.Push(1, burning(availability, alert.P1, "hangzhou"))
			s.Want(Between(1+c.paged.from, 1+c.paged.to), "opened zhang/wecom #1", "opened zhang/email #1")
			s.Acknowledge(2, 1)
			s.Do(3, "story", func(ctx context.Context, e *incident.Engine) error {
				story, err := e.Get(ctx, 1)
				if diff := cmp.Diff(c.incident, story.Evidence); diff != "" {
					t.Error(diff)
				}
				return err
			})
			s.Run(4)
			for _, p := range s.pages("opened") {
				if diff := cmp.Diff(c.page, p.Evidence); diff != "" {
					t.Error(diff)
				}
				if p.SLO.Objective != "99.95" || p.Link != "http://midwatch/incidents/1" || len(p.Incident.Alerts) != 1 || p.Attempt != 1 {
					t.Errorf("page is not complete: %+v", p)
				}
			}
			if got := c.detective.asked.Load(); got != c.asked {
				t.Errorf("asked %d times, want %d", got, c.asked)
			}
		})
	}
}

func TestWhatResolvesWhileItsPageWaitsPagesNobody(t *testing.T) {
	s := newTimeline(t)
	s.config.Evidence = &detective{takes: 2 * time.Second}
	a := burning(availability, alert.P1, "hangzhou")
	s.Push(1, a)
	s.Push(1+1*seconds, over(a))
	s.Run(10)
}

// oracle takes its time to say how an SLO stands.
type oracle struct{ takes time.Duration }

func (o oracle) SLO(ctx context.Context, _ alert.Incident) page.SLO {
	select {
	case <-time.After(o.takes):
		return page.SLO{Objective: "99.95"}
	case <-ctx.Done():
		return page.SLO{}
	}
}

func TestAPageThatWaitsForNothingHasTheFactsThatAreKnownAtOnce(t *testing.T) {
	for takes, want := range map[time.Duration]string{50 * time.Millisecond: "99.95", 10 * time.Second: ""} {
		t.Run(takes.String(), func(t *testing.T) {
			s := newTimeline(t)
			s.config.EvidenceWait, s.config.Facts = -1, oracle{takes}
			s.config.Evidence = &detective{takes: 10 * time.Second}
			s.Push(1, burning(availability, alert.P2, "hangzhou"))
			s.Want(Between(1, 1+0.11*seconds), "opened zhang/wecom #1")
			s.Run(2)
			for _, p := range s.pages("opened") {
				if p.SLO.Objective != want || len(p.Evidence) != 0 {
					t.Errorf("it says %+v", p)
				}
			}
		})
	}
}
