package incident

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// aliveFor is how long ago each loop may have begun its last turn at most.
const aliveFor = time.Minute

// pulse is when each loop of Run last began a turn.
type pulse struct {
	mu    sync.Mutex
	beats map[string]time.Time
}

func (p *pulse) beat(loop string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.beats == nil {
		p.beats = map[string]time.Time{}
	}
	p.beats[loop] = time.Now()
}

// check names a loop that stands still.
func (p *pulse) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.beats) == 0 {
		return errors.New("paging does not run")
	}
	for loop, at := range p.beats {
		if age := time.Since(at); age > aliveFor {
			return fmt.Errorf("the loop of %s stands still for %s", loop, age.Round(time.Second))
		}
	}
	return nil
}

// Healthy returns why an alert that arrives now may page nobody: the store
// keeps nothing, or one of Run's loops has not turned for a minute. It writes
// to the store.
func (e *Engine) Healthy(ctx context.Context) error {
	if err := e.pulse.check(); err != nil {
		return err
	}
	err := e.c.Store.Update(ctx, func(tx Tx) error {
		return tx.SetMark("healthy", now().Format(time.RFC3339))
	})
	if err != nil {
		return fmt.Errorf("write to the store: %w", err)
	}
	return nil
}
