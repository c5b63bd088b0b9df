package correlate

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// handIn is how long before the caller's deadline the sources must be done,
// so that what a slow one has found so far still arrives; at most a tenth of
// the time that there is.
const handIn = 100 * time.Millisecond

// Source is something that can say what happened around an incident.
type Source struct {
	Name    string // such as logs; it becomes Evidence.Source
	Collect func(ctx context.Context, inc alert.Incident) page.Evidence
}

// Collector asks several sources at once.
type Collector struct {
	Sources []Source
	Logger  *slog.Logger
}

// Collect returns what each source says, in the order of the sources, when
// all have answered or ctx ends. A source that did not answer is there with a
// problem that says so; it delays nobody.
func (c *Collector) Collect(ctx context.Context, inc alert.Incident) []page.Evidence {
	start := time.Now()
	inner, cancel := earlier(ctx, start)
	defer cancel()
	answers := make([]chan page.Evidence, len(c.Sources))
	for i, s := range c.Sources {
		answers[i] = make(chan page.Evidence, 1)
		go func() { answers[i] <- c.ask(inner, s, inc) }()
	}
	evidence := make([]page.Evidence, len(c.Sources))
	for i, s := range c.Sources {
		evidence[i] = await(ctx, answers[i], start)
		evidence[i].Source = s.Name
	}
	return evidence
}

// earlier returns ctx with a deadline a little before its own, if it has one.
func earlier(ctx context.Context, now time.Time) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, deadline.Add(-min(handIn, max(0, deadline.Sub(now)/10))))
}

// await prefers an answer that is there to the end of ctx.
func await(ctx context.Context, answer <-chan page.Evidence, start time.Time) page.Evidence {
	select {
	case e := <-answer:
		return e
	case <-ctx.Done():
	}
	select {
	case e := <-answer:
		return e
	default:
		return page.Evidence{Problem: fmt.Sprintf("no answer within %s", time.Since(start).Round(time.Millisecond))}
	}
}

// ask guards against a source that panics: evidence must never cost a page.
func (c *Collector) ask(ctx context.Context, s Source, inc alert.Incident) (e page.Evidence) {
	defer func() {
		if r := recover(); r != nil {
			c.Logger.ErrorContext(ctx, "evidence source panicked", "source", s.Name, "incident", inc.ID, "panic", r)
			e = page.Evidence{Problem: "failed inside; see Midwatch's log"}
		}
	}()
	e = s.Collect(ctx, inc)
	if e.Problem != "" {
		c.Logger.WarnContext(ctx, "evidence is incomplete", "source", s.Name, "incident", inc.ID, "problem", e.Problem)
	}
	return e
}
