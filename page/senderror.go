package page

import (
	"errors"
	"fmt"
	"time"
)

// SendError says how a send went wrong and what is worth trying next.
type SendError struct {
	Channel    string
	Code       string        // the provider's own code, such as errcode 45009 or SMTP 451; may be empty
	Temporary  bool          // the same page may go through later
	RetryAfter time.Duration // not before this; 0 when the provider does not say
	Err        error
}

// Error names the channel, the provider's code and the cause.
func (e *SendError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("send by %s: %v", e.Channel, e.Err)
	}
	return fmt.Sprintf("send by %s: %s: %v", e.Channel, e.Code, e.Err)
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Err }

// Retry tells whether a failed send is worth another try, and after how long
// at the earliest. An error that is no SendError is.
func Retry(err error) (after time.Duration, again bool) {
	if se, ok := errors.AsType[*SendError](err); ok {
		return se.RetryAfter, se.Temporary
	}
	return 0, true
}
