package incident

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/page"
)

// leaseMargin is how much longer a page stays claimed than its sending may
// take.
const leaseMargin = 30 * time.Second

// lookAgain is how long the outbox is left alone while a channel has more
// pages than room.
const lookAgain = time.Second

// slots bounds the sends at once through each channel: a slow provider fills
// its own and nobody else's.
type slots struct {
	mu         sync.Mutex
	perChannel int
	used       map[string]int
	inFlight   map[string]bool // keys of pages
}

func newSlots(perChannel int) slots {
	return slots{perChannel: perChannel, used: map[string]int{}, inFlight: map[string]bool{}}
}

// free returns how many sends each of the channels has room for, without
// those that have none.
func (s *slots) free(channels []string) map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := map[string]int{}
	for _, c := range channels {
		if n := s.perChannel - s.used[c]; n > 0 {
			free[c] = n
		}
	}
	return free
}

// take returns false for a page that is being sent already: its lease ran out
// before its sender returned.
func (s *slots) take(p page.Page) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight[p.Key] {
		return false
	}
	s.inFlight[p.Key] = true
	s.used[p.To.Channel]++
	return true
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
	for ctx.Err() == nil {
		pages, next, err := e.claim(ctx)
		if err != nil && ctx.Err() == nil {
			e.c.Logger.ErrorContext(ctx, "claim pages", "err", err)
			next = now().Add(retryStore)
		}
		for _, p := range pages {
			if !e.slots.take(p) {
				continue
			}
			e.work.Go(func() {
				defer wake(e.deliver)
				defer e.slots.release(p)
				c := courier{Engine: e, stopping: ctx.Done()}
				c.deliver(sends, p)
			})
		}
		wait(ctx, e.deliver, next)
	}
}

// claim takes the pages that are due and for which there is room, and returns
// when the next may be.
func (e *Engine) claim(ctx context.Context) (pages []page.Page, next time.Time, err error) {
	at := now()
	var channels []string
	err = e.c.Store.View(ctx, func(tx Tx) (err error) {
		if channels, err = tx.DueChannels(at); err != nil {
			return err
		}
		next, err = tx.NextPage()
		return err
	})
	free := e.slots.free(channels)
	if err != nil {
		return nil, next, err
	}
	if len(free) > 0 {
		if pages, next, err = e.claimFrom(ctx, free, at); err != nil {
			return nil, next, err
		}
	}
	if !next.IsZero() && !next.After(at) {
		// There is no room for it, and whoever makes some wakes us. What
		// another channel has room for may be due before that.
		next = at.Add(lookAgain)
	}
	return pages, next, nil
}

func (e *Engine) claimFrom(ctx context.Context, free map[string]int, at time.Time) (pages []page.Page, next time.Time, err error) {
	until := at.Add(max(e.c.EvidenceWait, minFactsWait) + e.c.SendTimeout + leaseMargin)
	err = e.c.Store.Update(ctx, func(tx Tx) (err error) {
		for _, channel := range slices.Sorted(maps.Keys(free)) {
			some, err := tx.Claim(channel, at, until, free[channel])
			if err != nil {
				return fmt.Errorf("channel %s: %w", channel, err)
			}
			pages = append(pages, some...)
		}
		next, err = tx.NextPage()
		return err
	})
	return pages, next, err
}
