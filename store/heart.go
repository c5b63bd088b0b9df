package store

import (
	"context"
	"time"
)

const (
	beatEvery = 2 * time.Second
	deadAfter = 10 * time.Second // without a beat
)

// heart shows the other replicas that this one lives, and frees what those
// have claimed that live no more.
type heart struct {
	store *Postgres
	ctx   context.Context
	end   chan struct{}
	done  chan struct{}
}

func startHeart(ctx context.Context, s *Postgres) (*heart, error) {
	h := &heart{store: s, ctx: context.WithoutCancel(ctx), end: make(chan struct{}), done: make(chan struct{})}
	if err := h.beat(); err != nil {
		return nil, err
	}
	go h.run()
	return h, nil
}

func (h *heart) run() {
	defer close(h.done)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.end:
			return
		case <-tick.C:
			_ = h.beat() // the next one may succeed; what fails beside it is reported by whom it fails
		}
	}
}

// stop frees what this replica has claimed.
func (h *heart) stop() error {
	close(h.end)
	<-h.done
	return h.store.Claim(h.ctx, func(t *Tx) error {
		if err := t.exec("DELETE FROM replicas WHERE id = ?", t.replica); err != nil {
			return err
		}
		return t.freeOrphans()
	})
}

func (h *heart) beat() error { return h.store.Claim(h.ctx, (*Tx).beat) }

// serverTime is the database's clock in milliseconds: that of replicas differ.
const serverTime = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"

func (t *Tx) beat() error {
	err := t.exec(`INSERT INTO replicas (id, started_at, beat_at) VALUES (?, `+serverTime+`, `+serverTime+`)
		ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at`, t.replica)
	if err != nil {
		return err
	}
	err = t.exec(`DELETE FROM replicas WHERE id IN (SELECT id FROM replicas WHERE beat_at < `+serverTime+` - ?`+
		t.forUpdateSkipLocked()+`)`, deadAfter.Milliseconds())
	if err != nil {
		return err
	}
	return t.freeOrphans()
}

// freeing makes claimed pages due: since they are caused, not since now, for
// nobody's clock is asked.
const freeing = "UPDATE pages SET leased_until = 0, leased_by = '', due_at = at WHERE "

// freeOrphans makes pages due again that a replica had claimed which is no
// more.
func (t *Tx) freeOrphans() error {
	return t.exec(freeing + `id IN (
		SELECT id FROM pages WHERE state = 'queued' AND leased_until > 0 AND leased_by <> '' AND leased_by NOT IN (SELECT id FROM replicas)
		ORDER BY id` + t.forUpdateSkipLocked() + `)`)
}

// forUpdateSkipLocked returns what ends a query of a Claim: the rows that it
// returns are this transaction's to change, and those that another is about to
// change are left out. SQLite, which has one writer, needs nothing.
func (t *Tx) forUpdateSkipLocked() string {
	if t.dialect == sqlite {
		return ""
	}
	return " FOR UPDATE SKIP LOCKED"
}
