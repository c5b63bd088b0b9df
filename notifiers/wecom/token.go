package wecom

import (
	"context"
	"sync"
	"time"
)

// tokens keeps the access token, and lets one caller at a time fetch it while
// the others wait for what it brings.
type tokens struct {
	now   func() time.Time
	fetch func(context.Context) (string, time.Duration, error)
	turn  chan struct{} // holds one: whoever takes it may fetch

	mu    sync.Mutex
	token string
	until time.Time
}

func newTokens(now func() time.Time, fetch func(context.Context) (string, time.Duration, error)) *tokens {
	t := &tokens{now: now, fetch: fetch, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

// get returns a token that is valid as far as we know. When whoever fetches
// it gives up, the next in line fetches.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token, ok := t.cached(); ok {
		return token, nil
	}
	select {
	case <-t.turn:
		defer func() { t.turn <- struct{}{} }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if token, ok := t.cached(); ok {
		return token, nil
	}
	token, lifetime, err := t.fetch(ctx)
	if err != nil {
		return "", err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.until = token, t.now().Add(lifetime-margin(lifetime))
	return token, nil
}

// margin is how long before its end a token is not used any more.
func margin(lifetime time.Duration) time.Duration { return min(lifetime/10, 5*time.Minute) }

func (t *tokens) cached() (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && t.now().Before(t.until)
}

// forget drops a token that was refused, unless there is another already.
func (t *tokens) forget(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}
