package shop

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Pool is a bounded set of database connections. Whoever finds none free
// waits for one in turn, up to a limit.
type Pool struct {
	name    string
	size    int
	timeout time.Duration
	free    chan struct{}
	waiting atomic.Int64
	leaked  atomic.Int64
}

// NewPool returns a pool with all its connections free.
func NewPool(name string, size int, timeout time.Duration) *Pool {
	p := &Pool{name: name, size: size, timeout: timeout, free: make(chan struct{}, size)}
	for range size {
		p.free <- struct{}{}
	}
	return p
}

// ErrPoolTimeout is what waiting for a connection ends with when none came
// free in time.
var ErrPoolTimeout = errors.New("connection is not available")

// Acquire takes a connection. Who gets one gives it back with Release.
func (p *Pool) Acquire(ctx context.Context) error {
	begin := time.Now()
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	limit := time.NewTimer(p.timeout)
	defer limit.Stop()
	select {
	case <-p.free:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", p.name, ctx.Err())
	case <-limit.C:
		select {
		case <-p.free: // a machine that is short of time wakes both at once
			return nil
		default:
		}
		s := p.State()
		return fmt.Errorf("%s - %w, request timed out after %dms (total=%d, active=%d, idle=%d, waiting=%d)",
			p.name, ErrPoolTimeout, time.Since(begin).Milliseconds(), s.Size, s.Size-s.Idle, s.Idle, s.Waiting-1)
	}
}

// Release gives a connection back.
func (p *Pool) Release() { p.free <- struct{}{} }

// Leak takes n connections, as they come free, and keeps them: the bug that
// the outage is about.
func (p *Pool) Leak(ctx context.Context, n int) error {
	for range n {
		select {
		case <-p.free:
			p.leaked.Add(1)
		case <-ctx.Done():
			return fmt.Errorf("leak connections of %s: %w", p.name, ctx.Err())
		}
	}
	return nil
}

// Heal gives back what has leaked.
func (p *Pool) Heal() {
	for range p.leaked.Swap(0) {
		p.Release()
	}
}

// PoolState is how a pool stands at an instant.
type PoolState struct {
	Size    int `json:"size"`
	Idle    int `json:"idle"`
	Waiting int `json:"waiting"`
	Leaked  int `json:"leaked"`
}

// State returns how the pool stands.
func (p *Pool) State() PoolState {
	return PoolState{Size: p.size, Idle: len(p.free), Waiting: int(p.waiting.Load()), Leaked: int(p.leaked.Load())}
}
