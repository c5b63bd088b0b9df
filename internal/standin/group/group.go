// Package group holds what the stand-ins of group robots have in common:
// faults to come, what arrived in the group, and how often it was tried. What
// a robot's requests look like is with its stand-in.
package group

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
)

// Bounds of a group.
const (
	maxBody     = 1 << 20 // bytes of a request
	maxMessages = 500
)

// Limit is how many messages the provider takes in how long.
type Limit struct {
	Messages int
	Per      time.Duration
}

// Counts tell what happened besides messages that arrived.
type Counts struct {
	Sends   int `json:"sends"`   // requests, however answered
	Limited int `json:"limited"` // refused for their rate
}

// Group holds messages of one type, and is an http.Handler. It may be used
// from several goroutines.
type Group[M any] struct {
	faults.Queue
	mux *http.ServeMux

	mu       sync.Mutex
	messages []M // oldest first
	counts   Counts
	sent     []time.Time // of the messages in the last minute
}

// New returns a group: send answers requests to the pattern.
func New[M any](pattern string, send http.HandlerFunc) *Group[M] {
	g := &Group[M]{mux: http.NewServeMux()}
	g.mux.HandleFunc(pattern, send)
	g.mux.HandleFunc("GET /messages", g.list)
	return g
}

// ServeHTTP answers the provider's API, and the messages as JSON at /messages.
func (g *Group[M]) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.mux.ServeHTTP(w, r) }

// Messages returns what arrived, oldest first, the newest 500.
func (g *Group[M]) Messages() []M {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.messages)
}

// Counts returns what happened besides.
func (g *Group[M]) Counts() Counts {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.counts
}

// Receive counts a request and reads its body. It has answered the request
// already when ok is false; else the fault is the provider's own, or
// faults.HalfBody.
func (g *Group[M]) Receive(w http.ResponseWriter, r *http.Request) (fault faults.Fault, body []byte, ok bool) {
	g.mu.Lock()
	g.counts.Sends++
	g.mu.Unlock()
	fault = g.Next()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return fault, nil, false
	}
	return fault, body, !fault.Answer(w, r)
}

// Arrive keeps a message, unless there were too many within one of the limits,
// of a minute at most.
func (g *Group[M]) Arrive(m M, now time.Time, limits ...Limit) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sent = slices.DeleteFunc(g.sent, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	for _, l := range limits {
		if n := len(g.sent); n >= l.Messages && now.Sub(g.sent[n-l.Messages]) < l.Per {
			g.counts.Limited++
			return false
		}
	}
	g.sent = append(g.sent, now)
	g.messages = append(g.messages, m)
	g.messages = g.messages[max(0, len(g.messages)-maxMessages):]
	return true
}

func (g *Group[M]) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": g.Messages(), "counts": g.Counts()})
}
