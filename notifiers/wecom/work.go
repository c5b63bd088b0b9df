package wecom

import (
	"context"
	"sync"
	"time"
)

// work is a bounded number of things under way beside the requests that
// caused them.
type work struct {
	mu     sync.Mutex
	closed bool
	busy   sync.WaitGroup
	places chan struct{}
}

// Bounds of work.
const (
	maxWork  = 32
	workTime = 20 * time.Second
)

func newWork() *work { return &work{places: make(chan struct{}, maxWork)} }

// start does something in a goroutine of its own, with a deadline of its own.
// It returns false when there is no place for it, or none any more.
func (w *work) start(ctx context.Context, do func(context.Context)) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	select {
	case w.places <- struct{}{}:
	default:
		return false
	}
	w.busy.Go(func() {
		defer func() { <-w.places }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTime)
		defer cancel()
		do(ctx)
	})
	return true
}

func (w *work) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.busy.Wait()
}
