// Package faults holds the ways to misbehave over HTTP that all stand-ins of
// messaging providers have. What is a provider's own, such as its errcodes,
// is with its stand-in.
package faults

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync"
)

// Fault is a way to misbehave.
type Fault string

// The faults that every stand-in knows.
const (
	ServerError     Fault = "500"      // an HTTP 500
	TooManyRequests Fault = "429"      // an HTTP 429 with Retry-After: 7
	Hang            Fault = "hang"     // no answer until the client goes away
	HalfBody        Fault = "half"     // the message arrives, half of the answer does
	NotJSON         Fault = "not json" // a 200 with a web page
)

// Queue holds the faults to come. The zero Queue is empty; it may be used from
// several goroutines.
type Queue struct {
	mu     sync.Mutex
	faults []Fault
}

// Fail makes the next requests misbehave, one fault each.
func (q *Queue) Fail(faults ...Fault) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.faults = append(q.faults, faults...)
}

// Heal forgets the faults that have not happened yet.
func (q *Queue) Heal() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.faults = nil
}

// Next returns the fault of a request, "" when it is to be answered well.
func (q *Queue) Next() Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.faults) == 0 {
		return ""
	}
	f := q.faults[0]
	q.faults = q.faults[1:]
	return f
}

// Answer answers for a fault that keeps the message from arriving; it returns
// false, having done nothing, for all others.
func (f Fault) Answer(w http.ResponseWriter, r *http.Request) bool {
	switch f {
	case ServerError:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case TooManyRequests:
		w.Header().Set("Retry-After", "7")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case Hang:
		<-r.Context().Done()
	case NotJSON:
		_, _ = io.WriteString(w, "<html><title>Gateway</title></html>")
	default:
		return false
	}
	return true
}

// Half sends the beginning of an answer and closes the connection.
func Half(w http.ResponseWriter, answer any) {
	whole, err := json.Marshal(answer)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
	_, _ = w.Write(whole[:len(whole)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}
