// Package story breaks something in the demo, watches what Midwatch makes of
// it, tells it with measured times, and checks each step. It starts no
// server.
package story

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/demo/terminal"
)

// What breaks.
const (
	cluster  = "hangzhou"
	service  = "payment-service"
	sloName  = "payment-availability"
	schedule = "payments" // of who looks after it
)

// Limits of the story's steps.
const (
	quietFor      = 25 * time.Second  // that nothing may fire before the outage
	pageWithin    = 120 * time.Second // from the first failed payment
	healAfter     = 20 * time.Second  // from the acknowledgement
	healAtLatest  = 150 * time.Second // from the first failed payment: later, slower alerts fire too
	resolveWithin = 8 * time.Minute   // from the recovery: the short window is five minutes
)

// Config says what to watch.
type Config struct {
	Places   Places
	Terminal *terminal.Terminal
	Auto     bool                           // acknowledge without a person
	Ack      func(id int64) (string, error) // acknowledges, and returns what the command said
	HowToAck func(id int64) string          // the same for a person
	Lost     <-chan error                   // delivers when a server ends
}

// story is a run of it.
type story struct {
	Config
	api    *api
	checks checks

	outage   time.Time // the first failed payment
	incident alert.Incident
	pages    []message // of the incident, as they arrived
	summary  []string
}

// checks collects what is not as it should be.
type checks struct{ failed []error }

func (c *checks) that(ok bool, format string, args ...any) {
	if !ok {
		c.failed = append(c.failed, fmt.Errorf(format, args...))
	}
}

// Run tells the story. The error joins everything that was not as it should
// be.
func Run(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-c.Lost:
			cancel(err)
		case <-ctx.Done():
		}
	}()
	s := &story{Config: c, api: &api{Places: c.Places, client: &http.Client{}}}
	for _, step := range []func(context.Context) error{
		s.quiet, s.breakPool, s.paged, s.acknowledge, s.recover, s.resolved,
	} {
		if err := step(ctx); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause // and no longer what the step was waiting for
			}
			s.checks.failed = append(s.checks.failed, err)
			break
		}
	}
	if s.outage.IsZero() {
		return errors.Join(s.checks.failed...)
	}
	s.printSummary()
	return errors.Join(s.checks.failed...)
}

// since is how long after the first failed payment something happened.
func (s *story) since(at time.Time) string {
	return fmt.Sprintf("+%.1fs", at.Sub(s.outage).Seconds())
}

// tell prints what happened, and how long after the first failed payment.
func (s *story) tell(style terminal.Style, at time.Time, format string, args ...any) {
	line := fmt.Sprintf("%8s  %s", s.since(at), fmt.Sprintf(format, args...))
	s.summary = append(s.summary, line)
	s.Terminal.Say(style, "%s", line)
}

// poll asks every 250 ms until done, the deadline, or the end of ctx; the
// error is the last one of ask.
func poll(ctx context.Context, what string, within time.Duration, ask func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ask(ctx)
		if done && err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("%s: not within %s", what, within.Round(time.Second)), err)
		case <-tick.C:
		}
	}
}
