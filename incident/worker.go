package incident

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// errPointless ends the life of a page that tells nobody anything any more.
var errPointless = errors.New("nobody needs it any more")

// tooEarly puts a page off that may not be sent now.
type tooEarly struct{ until time.Time }

// Error says why.
func (tooEarly) Error() string { return "it is not within working hours" }

// courier delivers pages.
type courier struct {
	*Engine
	stopping <-chan struct{} // closed when the engine is about to stop
}

// deliver tries to send a page once and keeps what came of it.
func (c courier) deliver(ctx context.Context, p page.Page) {
	composed, err := c.compose(ctx, p)
	if err == nil {
		_, err = c.send(ctx, composed)
	}
	settle, result := c.settlement(p, err)
	c.report(ctx, p, result, err)
	c.keep(ctx, p, settle)
}

// report logs and counts what came of a try.
func (c courier) report(ctx context.Context, p page.Page, result string, err error) {
	c.metrics.pages.WithLabelValues(p.To.Channel, result).Inc()
	level := slog.LevelInfo
	switch result {
	case resultSent:
		c.metrics.delay.Observe(max(0, time.Since(p.At).Seconds()))
	case resultRetried:
		level = slog.LevelWarn
	case resultDead:
		level = slog.LevelError
	}
	args := []any{
		"result", result, "incident", p.Incident.ID, "kind", p.Kind, "level", p.Incident.Level,
		"user", p.To.User, "channel", p.To.Channel, "attempt", p.Attempt,
	}
	if err != nil {
		args = append(args, "err", err)
	}
	c.c.Logger.Log(ctx, level, "page", args...)
}

// compose completes a claimed page. It may wait for evidence; the error is
// errPointless when the incident needs no such page any more, before or after
// the wait, and tooEarly when its reader does not work now.
func (c courier) compose(ctx context.Context, p page.Page) (page.Page, error) {
	inc, err := c.stillNeeded(ctx, p)
	if err != nil {
		return p, err
	}
	if at := now(); inc.Level == alert.P3 { // it was due earlier, and no provider took it or we were away
		if due := c.c.Responders.WorkingTime(at, inc); due.After(at) {
			return p, tooEarly{due}
		}
	}
	p.SLO, p.Evidence = c.brief(ctx, inc, p.Kind)
	if p.Incident, err = c.stillNeeded(ctx, p); err != nil {
		return p, err
	}
	p.Link = c.c.Link(inc.ID)
	return p, nil
}

// stillNeeded returns the incident of a page, or errPointless.
func (c courier) stillNeeded(ctx context.Context, p page.Page) (inc alert.Incident, err error) {
	err = c.c.Store.View(ctx, func(tx Tx) (err error) {
		inc, err = get(tx, p.Incident.ID)
		return err
	})
	if err == nil && pointless(p.Kind, inc.Status) {
		err = errPointless
	}
	return inc, err
}

// pointless tells whether a page has nothing to say at a status: only the end
// of an incident is told after somebody looks after it or it is over.
func pointless(kind page.Kind, status alert.Status) bool {
	return kind != page.Resolved && status != alert.Open
}

func (c courier) send(ctx context.Context, p page.Page) (ref string, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.c.SendTimeout)
	defer cancel()
	return c.c.Sender.Send(ctx, p)
}

// settlement returns what to keep of a try, and its result.
func (c courier) settlement(p page.Page, err error) (func(Tx) error, string) {
	at := now()
	if err == nil {
		return func(tx Tx) error { return c.sent(tx, p, at) }, resultSent
	}
	if errors.Is(err, errPointless) {
		return func(tx Tx) error { return tx.MarkDropped(p.Key, at, err.Error()) }, resultDropped
	}
	reason := cut(err.Error(), 500)
	if early, ok := errors.AsType[tooEarly](err); ok {
		return func(tx Tx) error { return tx.PutOff(p.Key, early.until, reason) }, resultRetried
	}
	if due, again := c.c.Retry.next(p, err, at, rand.Float64()); again { //nolint:gosec // Jitter is no secret.
		return func(tx Tx) error { return tx.Retry(p.Key, due, reason) }, resultRetried
	}
	return func(tx Tx) error { return dead(tx, p, at, reason) }, resultDead
}

// dead keeps that a page will never be accepted. When no other is to come and
// nobody was told of the incident's level, there is another round.
func dead(tx Tx, p page.Page, at time.Time, reason string) error {
	text := fmt.Sprintf("no page to %s by %s after %d tries: %s", nameOf(p.To), p.To.Channel, p.Attempt, reason)
	event := alert.Event{At: at, Kind: alert.EventPageFailed, Text: text}
	if err := errors.Join(tx.MarkDead(p.Key, at, reason), tx.AddEvents(p.Incident.ID, event)); err != nil {
		return err
	}
	inc, err := get(tx, p.Incident.ID)
	if err != nil || inc.Status != alert.Open || !inc.NextPageAt.IsZero() {
		return err
	}
	if told, err := tx.Reached(inc.ID, inc.Level); err != nil || told {
		return err
	}
	inc.NextPageAt = at.Add(repeatDead)
	return tx.SaveIncident(inc)
}

// sent keeps that a page was accepted. Whoever is told of an incident that
// ended meanwhile is told of its end too.
func (c courier) sent(tx Tx, p page.Page, at time.Time) error {
	if err := tx.MarkSent(p.Key, at); err != nil {
		return err
	}
	text := fmt.Sprintf("%s: %s by %s", p.Kind, nameOf(p.To), p.To.Channel)
	if err := tx.AddEvents(p.Incident.ID, alert.Event{At: at, Kind: alert.EventPaged, Text: text}); err != nil {
		return err
	}
	inc, err := get(tx, p.Incident.ID)
	if err != nil || inc.Status != alert.Closed || p.Kind == page.Resolved {
		return err
	}
	return c.tellResolved(tx, inc, at)
}

func nameOf(c page.Contact) string {
	if c.FullName != "" {
		return c.FullName
	}
	return c.User
}

// keep writes what came of a page. While that does not work the page is not
// tried again: that it was sent is known here alone. It writes once also when
// ctx has ended.
func (c courier) keep(ctx context.Context, p page.Page, settle func(Tx) error) {
	for {
		err := c.update(context.WithoutCancel(ctx), settle)
		if err == nil {
			return
		}
		c.c.Logger.ErrorContext(ctx, "keep what came of a page", "page", p.Key, "err", err)
		select {
		case <-time.After(retryStore):
		case <-ctx.Done():
			return
		}
	}
}

func (c courier) update(ctx context.Context, f func(Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.c.Store.Update(ctx, f)
}
