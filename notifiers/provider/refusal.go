package provider

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/page"
)

// Refusal is an answer that is not yes: an HTTP status that is not 200, or a
// code of the provider's own that is not 0.
type Refusal struct {
	Status  int           // of HTTP; 0 when it was 200
	Code    int           // the provider's; 0 when there is none
	Message string        // the provider's words
	Wait    time.Duration // that an answer with a status asks for
	Body    []byte        // of an answer with a status
}

// Error names the status, or what the provider says; the code is in Name.
func (r *Refusal) Error() string {
	if r.Status != 0 {
		return fmt.Sprintf("HTTP status %d", r.Status)
	}
	return r.Message
}

// Name returns the status or the code, such as "503" or "errcode 45009".
func (r *Refusal) Name() string {
	if r.Status != 0 {
		return strconv.Itoa(r.Status)
	}
	return Errcode(r.Code)
}

// Errcode names a code.
func Errcode(code int) string { return "errcode " + strconv.Itoa(code) }

// Waits are the codes of a provider that pass, and for how long it refuses.
type Waits map[int]time.Duration

// Temporary tells whether the same request may be answered otherwise later,
// and when at the earliest. A code that is not among those that pass is
// permanent: codes are about what was asked, and the page should go another
// way.
func (r *Refusal) Temporary(passing Waits) (bool, time.Duration) {
	if r.Status != 0 {
		return r.Status >= 500 || r.Status == http.StatusTooManyRequests || r.Status == http.StatusRequestTimeout, r.Wait
	}
	wait, ok := passing[r.Code]
	return ok, wait
}

// Failure returns err as what a notifier returns.
func Failure(channel string, err error, passing Waits) *page.SendError {
	se := &page.SendError{Channel: channel, Temporary: true, Err: err}
	if refused, ok := errors.AsType[*Refusal](err); ok {
		se.Code = refused.Name()
		se.Temporary, se.RetryAfter = refused.Temporary(passing)
	}
	return se
}

// Unsent is an error that came before anything of a message was sent.
type Unsent struct{ Err error }

// Error returns the cause's.
func (u *Unsent) Error() string { return u.Err.Error() }

// Unwrap returns the cause.
func (u *Unsent) Unwrap() error { return u.Err }

// InDoubt tells whether a message may have arrived though err came back. What
// the provider refuses with a code has not, unless that says no more than
// that the provider is busy; nor has what never reached it.
func InDoubt(err error) bool {
	if _, ok := errors.AsType[*Unsent](err); ok {
		return false
	}
	if _, ok := errors.AsType[*page.SendError](err); ok {
		return false
	}
	if refused, ok := errors.AsType[*Refusal](err); ok {
		return refused.Status >= 500 || refused.Code == -1
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return false
	}
	return err != nil
}
