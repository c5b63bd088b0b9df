package app

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/web"
)

// retainEvery is how often what is old is removed.
const retainEvery = time.Hour

// openStore opens the database that the configuration names.
func openStore(ctx context.Context, c Store) (*store.Store, error) {
	where, err := c.where()
	if err != nil {
		return nil, err
	}
	return store.Open(ctx, where)
}

// where returns where the state is.
func (s Store) where() (store.Config, error) {
	if !s.shared() {
		return store.Config{Path: s.Path}, nil
	}
	u, err := secret.Resolve("store.url", s.URL, s.URLFile)
	if err != nil {
		return store.Config{}, err
	}
	return store.Config{URL: u.Reveal()}, nil
}

// linkKeyMark is where the key of links that acknowledge is kept, so that all
// replicas have the same and a restart changes nothing.
const linkKeyMark = "link_key"

func (a *App) readLinkKey(ctx context.Context) (key []byte, err error) {
	err = a.store.Update(ctx, func(tx *store.Tx) error {
		text, err := tx.Mark(linkKeyMark)
		if err != nil {
			return err
		}
		if key, err = hex.DecodeString(text); err == nil && len(key) >= 32 {
			return nil
		}
		key = make([]byte, 32)
		if _, err := rand.Read(key); err != nil {
			return err
		}
		return tx.SetMark(linkKeyMark, hex.EncodeToString(key))
	})
	if err != nil {
		return nil, fmt.Errorf("read the key of links: %w", err)
	}
	return key, nil
}

// linkLife is how long a link acknowledges.
const linkLife = 24 * time.Hour

// ackLink returns the link by which the page's reader acknowledges without a
// token.
func (a *App) ackLink(p page.Page) string {
	return web.AckLink(a.linkKey, a.current.Load().config.ExternalURL, p.Incident.ID, p.To.User, p.At.Add(linkLife))
}

// retain removes what is old until ctx ends.
func (a *App) retain(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		c := a.current.Load().config.Store
		at := time.Now()
		removed, err := a.store.Prune(ctx, at.Add(-time.Duration(c.Retention)), at.Add(-time.Duration(c.AuditRetention)))
		switch {
		case err != nil && ctx.Err() == nil:
			a.o.Logger.ErrorContext(ctx, "remove what is old", "err", err)
		case err == nil && removed.Incidents > 0:
			a.o.Logger.InfoContext(ctx, "removed what is old", "incidents", removed.Incidents)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// warnOfHolidays says once a day which calendars end soon, until ctx ends.
func (a *App) warnOfHolidays(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		for _, gap := range a.current.Load().roster.HolidayGaps(time.Now()) {
			a.o.Logger.WarnContext(ctx, "a calendar of holidays ends", "problem", gap.Message, "hint", gap.Hint)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// pulses sends heartbeats, of the configuration that is current, until ctx
// ends.
func (a *App) pulses(ctx context.Context) {
	for ctx.Err() == nil {
		s := a.current.Load()
		until, stop := context.WithCancel(ctx)
		go func() { // a reload may have changed where they go
			defer stop()
			for a.current.Load() == s {
				select {
				case <-until.Done():
					return
				case <-time.After(time.Second):
				}
			}
		}()
		p, err := newPulse(s.config.Heartbeat, a.engine.Healthy, a.o.Logger.With("component", "heartbeat"))
		if err != nil { // which makeState did not find: a file is gone since
			a.o.Logger.ErrorContext(ctx, "no heartbeat is sent", "err", err)
		}
		if err != nil || p == nil {
			<-until.Done()
			continue
		}
		p.run(until)
	}
}

// attend keeps up what the current channels have besides sending, in the place
// of those before.
func (a *App) attend(ctx context.Context) {
	if a.attending != nil {
		a.attending()
	}
	ctx, a.attending = context.WithCancel(context.WithoutCancel(ctx))
	channels := a.current.Load().channels
	a.attended.Go(func() { attend(ctx, channels, buttons{a}) })
	clusters := a.current.Load().federation
	a.attended.Go(func() { clusters.Watch(ctx) })
}

// noteReload writes into the audit that the configuration was read again.
func (a *App) noteReload(ctx context.Context) {
	actor := alert.Actor(ctx)
	err := a.store.Update(ctx, func(tx *store.Tx) error {
		return tx.Audit(time.Now(), actor, alert.Via(ctx), "reload", "configuration", "")
	})
	if err != nil {
		a.o.Logger.ErrorContext(ctx, "note reload in the audit", "err", err)
	}
}
