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

	last    time.Time // when this one's beat last was kept
	patient time.Time // until when nobody is held to be dead: the database was away for all
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

// beat shows that this replica lives.
func (h *heart) beat() error {
	err := h.store.Claim(h.ctx, func(t *Tx) error { return t.beat(h.mayJudge()) })
	if err == nil {
		h.last = time.Now()
	}
	return err
}

// mayJudge tells whether others without a beat are dead. When this one had
// none for a while either, they have as long as it takes to show themselves.
func (h *heart) mayJudge() bool {
	if !h.last.IsZero() && time.Since(h.last) > deadAfter/2 {
		h.patient = time.Now().Add(deadAfter)
	}
	return !time.Now().Before(h.patient)
}

// serverTime is the database's clock in milliseconds: that of replicas differ.
const serverTime = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"

// beat keeps that this replica lives and, when it may judge that, which others
// do not.
func (t *Tx) beat(judge bool) error {
	err := t.exec(`INSERT INTO replicas (id, started_at, beat_at) VALUES (?, `+serverTime+`, `+serverTime+`)
		ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at`, t.replica)
	if err != nil || !judge {
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
