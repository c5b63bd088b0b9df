// Package robottest helps to test notifiers that call a provider's API: a
// clock to move, and what an error says of a page. Only tests import it.
package robottest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// Clock is a time that tests move. It may be used from several goroutines.
type Clock struct {
	mu   sync.Mutex
	at   time.Time
	step time.Duration
}

// NewClock returns a clock that is at 19:00 UTC of 21 November 2026, and goes
// on by a step at every look.
func NewClock(step time.Duration) *Clock {
	return &Clock{at: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC), step: step}
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(c.step)
	return c.at
}

// Advance moves the time on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// Serve runs a stand-in until the test ends, and returns it with the settings
// of a notifier that sends to it.
func Serve(t *testing.T, standin http.Handler, clock *Clock) (*httptest.Server, provider.Settings) {
	t.Helper()
	web := httptest.NewServer(standin)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	return web, provider.Settings{APIURL: web.URL, Transport: transport, Now: clock.Now}
}

// SendError returns what an error says of a page.
func SendError(t *testing.T, err error) *page.SendError {
	t.Helper()
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	return se
}

// Page returns a page through a channel.
func Page(channel, address, key string) page.Page {
	return notifytest.Provider{Channel: channel, Address: address}.Page(key, false)
}

// Reply returns an answer of the provider by a fault, and what is made of it.
func Reply(fail func(...faults.Fault), f faults.Fault, temporary bool, code string, after time.Duration) notifytest.Reply {
	return notifytest.Reply{Name: string(f), Answer: func() { fail(f) }, Temporary: temporary, Code: code, After: after}
}

// Replies returns the answers that all providers have in common.
func Replies(fail func(...faults.Fault)) []notifytest.Reply {
	return []notifytest.Reply{
		Reply(fail, faults.ServerError, true, "500", 0),
		Reply(fail, faults.TooManyRequests, true, "429", 7*time.Second),
		Reply(fail, faults.NotJSON, true, "", 0),
	}
}
