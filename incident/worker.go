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

var (
	// errPointless ends the life of a page that tells nobody anything any more.
	errPointless = errors.New("nobody needs it any more")
	// errTooEarly puts a page off that may not be sent now.
	errTooEarly = errors.New("it is not within working hours")
)

// outcome is what came of a page.
type outcome struct {
	page   page.Page
	result string // as midwatch_pages_total names it
	err    error
	keep   func(Tx) error // that it came so
}

// courier delivers pages.
type courier struct {
	*Engine
	sends    context.Context // goes on when the engine is about to stop, for a while
	stopping <-chan struct{} // closed when the engine is about to stop
}

// deliver tries to send a page once and keeps what came of it.
func (c courier) deliver(p page.Page) {
	ctx, cancel := context.WithTimeout(c.sends, c.c.SendTimeout)
	ref, err := c.c.Sender.Send(ctx, p)
	cancel()
	o := c.judge(p, ref, err)
	c.report(c.sends, o)
	c.keep(p, o.keep)
	wake(c.changed)
	if o.result != resultSent { // something else may be due instead
		wake(c.escalate)
	}
}

// report logs and counts what came of a page. A drill counts nowhere.
func (e *Engine) report(ctx context.Context, o outcome) {
	p := o.page
	level := slog.LevelInfo
	switch o.result {
	case resultRetried:
		level = slog.LevelWarn
	case resultDead:
		level = slog.LevelError
	}
	if !p.Incident.Drill {
		e.metrics.pages.WithLabelValues(p.To.Channel, o.result).Inc()
		if o.result == resultSent && p.Kind != page.Updated {
			e.metrics.delay.Observe(max(0, time.Since(p.At).Seconds()))
		}
	}
	args := []any{
		"result", o.result, "incident", p.Incident.ID, "kind", p.Kind, "level", p.Incident.Level,
		"user", p.To.User, "channel", p.To.Channel, "attempt", p.Attempt,
	}
	if o.err != nil {
		args = append(args, "err", o.err)
	}
	e.c.Logger.Log(ctx, level, "page", args...)
}

// judge returns what came of a try.
func (c courier) judge(p page.Page, ref string, err error) outcome {
	at := now()
	o := outcome{page: p, err: err}
	due, again := time.Time{}, false
	if err != nil {
		due, again = c.c.Retry.next(p, err, at, rand.Float64()) //nolint:gosec // Jitter is no secret.
	}
	reason := ""
	if err != nil {
		reason = cut(err.Error(), 500)
	}
	switch {
	case err == nil:
		o.result, o.keep = resultSent, func(tx Tx) error { return c.sent(tx, p, ref, at) }
	case p.Kind == page.Updated && (!again || p.Attempt >= maxEdits):
		o.result, o.keep = resultDropped, func(tx Tx) error { return tx.MarkDropped(p.Key, at, reason) }
	case again:
		after, _ := page.Retry(err)
		o.result, o.keep = resultRetried, func(tx Tx) error {
			return tx.Reschedule(p.Key, due, after > 0, patienceWith(p), reason)
		}
	default:
		o.result, o.keep = resultDead, func(tx Tx) error { return c.dead(tx, p, at, reason) }
	}
	return o
}

// stands returns the pages that p stands for: itself, unless it is a bundle.
func stands(tx Tx, p page.Page) ([]page.Page, error) {
	if p.Kind != page.Bundle {
		return []page.Page{p}, nil
	}
	return tx.Members(p.Key)
}

// sent keeps that a page was accepted. Whoever is told of an incident that
// ended meanwhile is told of its end too.
func (c courier) sent(tx Tx, p page.Page, ref string, at time.Time) error {
	pages, err := stands(tx, p)
	if err != nil {
		return err
	}
	if err := tx.MarkSent(p.Key, at); err != nil {
		return err
	}
	if ref != "" && ref != p.Ref && p.Kind != page.Bundle {
		if err := tx.SaveRef(p, ref); err != nil {
			return err
		}
	}
	if p.Kind != page.Bundle && c.c.Sender.Edits(p.To.Channel) {
		if err := c.catchUp(tx, p, at); err != nil {
			return err
		}
	}
	if p.Kind == page.Updated {
		return nil
	}
	for _, p := range pages {
		text := fmt.Sprintf("%s: %s by %s", p.Kind, nameOf(p.To), p.To.Channel)
		if n := len(pages); n > 1 {
			text += fmt.Sprintf(", with %d others", n-1)
		}
		if err := tx.AddEvents(p.Incident.ID, alert.Event{At: at, Kind: alert.EventPaged, Text: text}); err != nil {
			return err
		}
	}
	return c.afterSent(tx, pages, at)
}

// afterSent tells the end of incidents to those who were told of them too late.
func (c courier) afterSent(tx Tx, pages []page.Page, at time.Time) error {
	var ids []int64
	for _, p := range pages {
		if p.Kind != page.Resolved {
			ids = append(ids, p.Incident.ID)
		}
	}
	found, err := tx.IncidentsByID(ids)
	if err != nil {
		return err
	}
	for _, inc := range found {
		if inc.Status != alert.Closed || inc.MergedInto != 0 || inc.Drill {
			continue
		}
		if err := c.tellResolved(tx, inc, at); err != nil {
			return err
		}
	}
	return c.reachedAgain(tx, pages, at)
}

func nameOf(c page.Contact) string {
	if c.FullName != "" {
		return c.FullName
	}
	return c.User
}

// keep writes what came of a page. While that does not work the page is not
// tried again: that it was sent is known here alone. It writes once also when
// the engine stops.
func (c courier) keep(p page.Page, settle func(Tx) error) {
	for {
		err := c.update(context.WithoutCancel(c.sends), settle)
		if err == nil {
			return
		}
		c.c.Logger.ErrorContext(c.sends, "keep what came of a page", "page", p.Key, "err", err)
		select {
		case <-time.After(retryStore):
		case <-c.sends.Done():
			return
		}
	}
}

func (c courier) update(ctx context.Context, f func(Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return c.c.Store.UpdateLater(ctx, f)
}
