package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

const (
	// leaseMargin is how much longer a page stays claimed than its sending may
	// take.
	leaseMargin = 30 * time.Second
	// lookAgain is how long the outbox is left alone while a channel has more
	// pages than room.
	lookAgain = time.Second
	// lookSoon is how long a page is left alone that is still in hand.
	lookSoon = 100 * time.Millisecond
	// catchBreath is for how long, then, the next pages are not claimed, so that
	// many are at once.
	catchBreath = 3 * time.Millisecond
)

// slots bounds the sends at once through each channel: a slow provider fills
// its own and nobody else's.
type slots struct {
	mu       sync.Mutex
	of       func(channel string) int
	used     map[string]int
	inFlight map[string]bool // keys of pages
}

func newSlots(of func(channel string) int) slots {
	return slots{of: of, used: map[string]int{}, inFlight: map[string]bool{}}
}

// free returns how many sends each of the channels has room for, without
// those that have none.
func (s *slots) free(channels []string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := map[string]int{}
	for _, c := range channels {
		if n := s.of(c) - s.used[c]; n > 0 {
			free[c] = n
		}
	}
	return free
}

// has tells whether a page is being sent, or was a moment ago.
func (s *slots) has(p page.Page) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.inFlight[p.Key]
}

func (s *slots) take(p page.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inFlight[p.Key] = true
	s.used[p.To.Channel]++
}

func (s *slots) release(p page.Page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.inFlight, p.Key)
	s.used[p.To.Channel]--
}

// Run pages people until ctx ends, and returns when the sends in flight are
// done, at most StopTimeout later. What is not sent then stays in the outbox.
func (e *Engine) Run(ctx context.Context) error {
	sends, abort := context.WithCancelCause(context.WithoutCancel(ctx))
	defer abort(nil)
	started := now()
	// What became due while nothing ran comes in the place of what waits.
	if _, err := e.escalateDue(ctx, started); err != nil && ctx.Err() == nil {
		e.c.Logger.ErrorContext(ctx, "escalate incidents", "err", err)
	}
	var loops sync.WaitGroup
	loops.Go(func() { e.escalation(ctx, started) })
	loops.Go(func() { e.delivery(ctx, sends) })
	loops.Go(func() { e.keepVigil(ctx, started) })
	loops.Go(func() { e.survey(ctx) })
	loops.Wait()

	done := make(chan struct{})
	go func() { e.work.Wait(); close(done) }()
	for _, patience := range []time.Duration{e.c.StopTimeout, time.Second} {
		select {
		case <-done:
			return nil
		case <-time.After(patience):
			abort(errors.New("midwatch stops"))
		}
	}
	return errors.New("stop paging: a send does not end; its page will be sent again")
}

// delivery sends what is in the outbox until ctx ends; what it began by then
// goes on in the context sends.
func (e *Engine) delivery(ctx, sends context.Context) {
	c := courier{Engine: e, sends: sends, stopping: ctx.Done()}
	for ctx.Err() == nil {
		e.pulse.beat("delivery")
		next, err := c.deliverDue(ctx)
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "deliver pages", "err", err)
			next = now().Add(retryStore)
		}
		waitAtMost(ctx, e.deliver, next, e.c.Poll)
	}
}

// deliverDue begins to send what is due and for which there is room, and
// returns when there may be more.
func (c courier) deliverDue(ctx context.Context) (next time.Time, err error) {
	at := now()
	var due map[string]time.Time
	var gather time.Time
	err = c.c.Store.View(ctx, func(tx Tx) (err error) {
		if gather, err = tx.NextGather(); err != nil {
			return err
		}
		due, err = tx.DuePages()
		return err
	})
	if err != nil {
		return next, err
	}
	if free := c.slots.free(dueChannels(due, at)); len(free) > 0 {
		if due, err = c.claimFrom(ctx, free, at); err != nil {
			return next, err
		}
	}
	if !gather.IsZero() && !gather.After(at) {
		if err := c.gatherDue(ctx, c, at); err != nil {
			return next, err
		}
		gather = at.Add(lookAgain)
	}
	return c.nextLook(ctx, due, gather, at), nil
}

// nextLook returns when something may be due that there is room for. Whoever
// makes room wakes the delivery.
func (c courier) nextLook(ctx context.Context, due map[string]time.Time, next, at time.Time) time.Time {
	times := slices.Collect(maps.Values(due))
	if len(dueChannels(due, at)) > 0 {
		times = append(times, at.Add(lookAgain))
		waitAtMost(ctx, nil, time.Time{}, catchBreath)
	}
	for _, d := range times {
		if d.After(at) && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	return next
}

func dueChannels(due map[string]time.Time, at time.Time) (channels []string) {
	for channel, d := range due {
		if !d.After(at) {
			channels = append(channels, channel)
		}
	}
	return channels
}

// claimFrom takes pages of channels with room and begins to send them. It
// returns when the next pages are due.
func (c courier) claimFrom(ctx context.Context, free map[string]int, at time.Time) (due map[string]time.Time, err error) {
	var taken claim
	err = c.c.Store.UpdateLater(ctx, func(tx Tx) (err error) {
		taken = claim{Engine: c.Engine, tx: tx, at: at, until: at.Add(c.c.SendTimeout + leaseMargin), incidents: map[int64]alert.Incident{}}
		for _, channel := range slices.Sorted(maps.Keys(free)) {
			if err := taken.take(channel, free[channel]); err != nil {
				return fmt.Errorf("claim pages of channel %s: %w", channel, err)
			}
		}
		due, err = tx.DuePages()
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, o := range taken.settled {
		c.report(ctx, o)
	}
	for _, p := range taken.send {
		c.slots.take(p)
		c.work.Go(func() {
			defer wake(c.Engine.deliver)
			defer c.slots.release(p)
			c.deliver(p)
		})
	}
	return due, nil
}
