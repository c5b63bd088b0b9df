package federation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// breaker stands before one server. It lets a bounded number of requests
// through at once, and none while the server does not answer probes: those
// who ask are told at once what the last probe was told.
//
// Only probes open and close it, since a request may fail for what it asks;
// a request that fails has the server probed.
type breaker struct {
	places chan struct{} // as many as requests may run at once
	doubts chan struct{} // of capacity 1: a request failed
	waits  atomic.Int64  // requests that wait for a place

	mu    sync.Mutex
	cause error // why nothing is let through; nil: it is closed
}

func newBreaker(atOnce int) *breaker {
	return &breaker{places: make(chan struct{}, atOnce), doubts: make(chan struct{}, 1)}
}

// set opens the breaker with a cause, or closes it with nil.
func (b *breaker) set(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cause = cause
}

// open returns why nothing is let through, nil when it is.
func (b *breaker) open() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cause
}

// doubt has the server probed soon.
func (b *breaker) doubt() {
	select {
	case b.doubts <- struct{}{}:
	default: // it will be
	}
}

// enter waits for a place, which leave gives back.
func (b *breaker) enter(ctx context.Context) error {
	if err := b.open(); err != nil {
		return err
	}
	select {
	case b.places <- struct{}{}:
		return nil
	default:
	}
	b.waits.Add(1)
	defer b.waits.Add(-1)
	select {
	case b.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busyError{atOnce: cap(b.places), err: ctx.Err()}
	}
}

func (b *breaker) leave() { <-b.places }

// judge has the server probed when the outcome of a request casts doubt on it.
// That the asker went away does not.
func (b *breaker) judge(resp *http.Response, err error) {
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil, resp.StatusCode >= http.StatusInternalServerError, resp.StatusCode == http.StatusTooManyRequests:
		b.doubt()
	}
}

// busyError is a request that got no place in time.
type busyError struct {
	atOnce int
	err    error
}

// Error says how many requests were running.
func (e busyError) Error() string {
	return fmt.Sprintf("busy: %d requests to it at once, and no more are sent", e.atOnce)
}

// Unwrap returns what ended the wait.
func (e busyError) Unwrap() error { return e.err }

// guarded is a body that gives back the place of its request once it is
// closed.
type guarded struct {
	io.ReadCloser
	breaker *breaker
	closed  sync.Once
}

// Read reads. A body that is cut off casts doubt on the server.
func (g *guarded) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		g.breaker.doubt()
	}
	return n, err
}

// Close closes the body.
func (g *guarded) Close() error {
	err := g.ReadCloser.Close()
	g.closed.Do(g.breaker.leave)
	return err
}

// probingKey is the context key of probes, which pass every breaker.
type probingKey struct{}

func probing(ctx context.Context) context.Context {
	return context.WithValue(ctx, probingKey{}, true)
}

func isProbe(ctx context.Context) bool {
	is, _ := ctx.Value(probingKey{}).(bool)
	return is
}
