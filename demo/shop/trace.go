package shop

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
)

// chance is a source of randomness that many goroutines share, the same in
// every run but for their order.
type chance struct {
	mu sync.Mutex
	r  *rand.Rand
}

func newChance(seed uint64, salt string) *chance {
	for _, b := range []byte(salt) {
		seed = seed*31 + uint64(b)
	}
	return &chance{r: rand.New(rand.NewPCG(seed, 7))} //nolint:gosec // the same in every run, on purpose.
}

func (c *chance) float() float64 { c.mu.Lock(); defer c.mu.Unlock(); return c.r.Float64() }

func (c *chance) exp() float64 { c.mu.Lock(); defer c.mu.Unlock(); return c.r.ExpFloat64() }

func (c *chance) uint64() uint64 { c.mu.Lock(); defer c.mu.Unlock(); return c.r.Uint64() }

// trace is where a request is in its trace (W3C Trace Context).
type trace struct{ id, span string }

func (c *chance) newTrace() trace {
	return trace{id: fmt.Sprintf("%016x%016x", c.uint64(), c.uint64()), span: c.newSpan()}
}

func (c *chance) newSpan() string { return fmt.Sprintf("%016x", c.uint64()) }

func (t trace) setOn(h http.Header) { h.Set("Traceparent", "00-"+t.id+"-"+t.span+"-01") }

// traceOf continues a request's trace with a span of its own; a request
// without a trace begins one.
func (c *chance) traceOf(h http.Header) trace {
	parts := strings.Split(h.Get("Traceparent"), "-")
	if len(parts) != 4 || len(parts[1]) != 32 {
		return c.newTrace()
	}
	return trace{id: parts[1], span: c.newSpan()}
}
