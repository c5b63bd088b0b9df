// Package notifiers sends pages to people through channels such as WeCom and
// email. It decides neither whom to tell nor when to try again: it sends once
// and says how that went.
package notifiers

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/midwatch-slo/midwatch/page"
)

// Notifier sends one page through one channel.
//
// Send returns nil when the provider has accepted the page for the person it
// is to. Otherwise the error is a *page.SendError, which says whether the
// same page may go through later, and errors.Is finds the context's error in
// it when that ended the send. A page sent again with the same Key is the
// same to the provider, so far as the provider can tell such things. No
// secret is in an error. Notifiers may be used from several goroutines.
type Notifier interface {
	Send(ctx context.Context, p page.Page) error
}

// Registry sends pages by the channel that they name.
type Registry struct{ channels map[string]Notifier }

var _ Notifier = (*Registry)(nil)

// NewRegistry returns a registry of notifiers by the name of their channel.
func NewRegistry(channels map[string]Notifier) *Registry {
	return &Registry{maps.Clone(channels)}
}

// Channels returns the names of the channels, sorted.
func (r *Registry) Channels() []string { return slices.Sorted(maps.Keys(r.channels)) }

// Send sends the page through the channel that p.To names. A channel that
// there is not is a permanent *page.SendError.
func (r *Registry) Send(ctx context.Context, p page.Page) error {
	n, ok := r.channels[p.To.Channel]
	if !ok {
		return &page.SendError{Channel: p.To.Channel, Err: errors.New("no channel of this name is configured")}
	}
	err := n.Send(ctx, p)
	var se *page.SendError
	if err == nil || errors.As(err, &se) {
		return err
	}
	return &page.SendError{Channel: p.To.Channel, Temporary: true, Err: err}
}
