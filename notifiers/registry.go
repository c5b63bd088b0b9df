// Package notifiers sends pages to people through channels such as WeCom and
// email. It decides neither whom to tell nor when to try again: it sends once
// and says how that went.
package notifiers

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"

	"github.com/midwatch-slo/midwatch/page"
)

// Notifier sends one page through one channel.
//
// Send returns nil when the provider has accepted the page for the person it
// is to, and a reference to the message when the provider can change it later:
// the next page of the incident to the same address brings it back as
// Page.Ref. A reference is at most 4,096 bytes of text, "" for none. Otherwise the error is a *page.SendError, which says whether the
// same page may go through later, and errors.Is finds the context's error in
// it when that ended the send. A page sent again with the same Key is the
// same to the provider, so far as the provider can tell such things. No
// secret is in an error. Notifiers may be used from several goroutines.
type Notifier interface {
	Send(ctx context.Context, p page.Page) (ref string, err error)
}

// Editor is a Notifier whose provider can change a message that it has sent:
// pages of the kind page.Updated are for these alone.
type Editor interface{ Edits() bool }

// Registry sends pages by the channel that they name.
type Registry struct {
	channels  map[string]Notifier
	templates *page.Templates
	failed    func(ctx context.Context, err error)
}

var _ Notifier = (*Registry)(nil)

// Option changes how a registry sends.
type Option func(*Registry)

// Counter counts events, such as a prometheus.Counter.
type Counter interface{ Inc() }

// WithTemplates words pages by an operator's templates. One that fails leaves
// its part to the built-in words, which is logged and counted.
func WithTemplates(t *page.Templates, log *slog.Logger, failures Counter) Option {
	return func(r *Registry) {
		r.templates = t
		r.failed = func(ctx context.Context, err error) {
			failures.Inc()
			log.WarnContext(ctx, "a template failed, the page has the built-in words", "err", err)
		}
	}
}

// NewRegistry returns a registry of notifiers by the name of their channel.
func NewRegistry(channels map[string]Notifier, options ...Option) *Registry {
	r := &Registry{channels: maps.Clone(channels)}
	for _, o := range options {
		o(r)
	}
	return r
}

// Channels returns the names of the channels, sorted.
func (r *Registry) Channels() []string { return slices.Sorted(maps.Keys(r.channels)) }

// Edits tells whether messages of the channel can be changed after they are
// sent.
func (r *Registry) Edits(channel string) bool {
	e, ok := r.channels[channel].(Editor)
	return ok && e.Edits()
}

// Send sends the page through the channel that p.To names. A channel that
// there is not is a permanent *page.SendError.
func (r *Registry) Send(ctx context.Context, p page.Page) (ref string, err error) {
	n, ok := r.channels[p.To.Channel]
	if !ok {
		return "", &page.SendError{Channel: p.To.Channel, Err: errors.New("no channel of this name is configured")}
	}
	worded, err := r.templates.Render(p)
	if err != nil {
		r.failed(ctx, err)
	}
	ref, err = n.Send(ctx, worded)
	var se *page.SendError
	if err == nil || errors.As(err, &se) {
		return ref, err
	}
	return "", &page.SendError{Channel: p.To.Channel, Temporary: true, Err: err}
}
