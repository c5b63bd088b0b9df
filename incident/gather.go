package incident

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

const (
	// maxGathers is of how many incidents evidence is looked for at once, and
	// maxLate of how many more after their pages.
	maxGathers = 16
	maxLate    = 16
	// gatherLease is how much longer an incident stays claimed than looking for
	// its evidence may take.
	gatherLease = 30 * time.Second
)

// detectives look for evidence and facts.
type detectives struct {
	mu   sync.Mutex
	busy int
	late int // after the page
}

// takeLate tells whether one is free to look after the page.
func (d *detectives) takeLate() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.late >= maxLate {
		return false
	}
	d.late++
	return true
}

func (d *detectives) releaseLate() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.late--
}

func (d *detectives) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy += n
}

func (d *detectives) free() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maxGathers - d.busy
}

// gatherDue begins to look for evidence and facts of the incidents that ask
// for it, and for which there is somebody free.
func (e *Engine) gatherDue(ctx context.Context, c courier, at time.Time) error {
	room := e.detectives.free()
	if room <= 0 {
		return nil
	}
	var found []alert.Incident
	var looked map[int64][]page.Evidence
	err := e.c.Store.UpdateLater(ctx, func(tx Tx) (err error) {
		if found, err = tx.ClaimGathers(at, at.Add(max(e.c.EvidenceWait, factsWait)+gatherLease), room); err != nil {
			return err
		}
		ids := make([]int64, len(found))
		for i, inc := range found {
			ids[i] = inc.ID
		}
		looked, _, err = tx.Findings(ids)
		return err
	})
	if err != nil {
		return fmt.Errorf("claim incidents to look for evidence of: %w", err)
	}
	for _, inc := range found {
		e.detectives.add(1)
		e.work.Go(func() {
			defer wake(e.deliver)
			defer e.detectives.add(-1)
			c.gather(inc, looked[inc.ID] == nil)
		})
	}
	return nil
}

// gather looks for what pages of an incident say beyond it, for as long as a
// page may wait for it, and lets go the pages that do.
func (c courier) gather(inc alert.Incident, look bool) {
	var slo page.SLO
	var found []page.Evidence
	look = look && c.c.Evidence != nil
	late := look && c.c.EvidenceWait <= 0
	begun := time.Now()
	var halves sync.WaitGroup
	halves.Go(func() { slo = c.facts(c.sends, inc, max(c.patience(), factsWait)) })
	if look && !late {
		halves.Go(func() { found = c.evidence(inc) })
	}
	halves.Wait()
	late = late || look && time.Since(begun) >= c.patience()*9/10
	c.keepFindings(inc.ID, func(tx Tx) error {
		if look {
			if err := keepEvidence(tx, inc.ID, found, ""); err != nil {
				return err
			}
		}
		if err := tx.SaveFacts(inc.ID, slo); err != nil {
			return err
		}
		if err := tx.Gathered(inc.ID); err != nil {
			return err
		}
		return tx.Release(inc.ID, now())
	})
	if late && c.detectives.takeLate() {
		c.work.Go(func() {
			defer c.detectives.releaseLate()
			c.lookAgain(inc, found)
		})
	}
}

// patience is how long a page waits for evidence, less what it takes to keep
// it.
func (c courier) patience() time.Duration {
	return c.c.EvidenceWait - min(c.c.EvidenceWait/20, 50*time.Millisecond)
}

// facts returns what is known of the SLO, the zero SLO when nothing is in time.
func (e *Engine) facts(ctx context.Context, inc alert.Incident, patience time.Duration) page.SLO {
	if e.c.Facts == nil || inc.SLO == "" {
		return page.SLO{}
	}
	slo, _ := within(ctx, patience, func(ctx context.Context) page.SLO { return e.c.Facts.SLO(ctx, inc) })
	return slo
}

// within returns f's answer, or false when there is none after patience. f's
// context ends a little earlier, so that it can answer with what it has.
func within[T any](ctx context.Context, patience time.Duration, f func(context.Context) T) (answer T, ok bool) {
	soft, cancel := context.WithTimeout(ctx, patience*9/10)
	answers := make(chan T, 1)
	go func() { defer cancel(); answers <- f(soft) }()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case answer = <-answers:
		return answer, true
	case <-late.C:
		return answer, false
	}
}

func (c courier) evidence(inc alert.Incident) []page.Evidence {
	found, ok := within(c.sends, c.patience(), func(ctx context.Context) []page.Evidence { return c.c.Evidence.Collect(ctx, inc) })
	if !ok {
		return []page.Evidence{{Source: "evidence", Problem: fmt.Sprintf("no answer within %s", c.c.EvidenceWait)}}
	}
	return found
}

// lookAgain looks for evidence with more time, for the incident's page and for
// messages that can be changed.
func (c courier) lookAgain(inc alert.Incident, early []page.Evidence) {
	ctx, cancel := context.WithCancel(c.sends)
	defer cancel()
	go func() {
		select {
		case <-c.stopping: // nobody waits for it
			cancel()
		case <-ctx.Done():
		}
	}()
	found, ok := within(ctx, c.c.EvidenceTime, func(ctx context.Context) []page.Evidence { return c.c.Evidence.Collect(ctx, inc) })
	if !ok || ctx.Err() != nil || len(early) > 0 && problems(found) >= problems(early) {
		return
	}
	c.keepFindings(inc.ID, func(tx Tx) error {
		if err := keepEvidence(tx, inc.ID, found, "after the page: "); err != nil {
			return err
		}
		current, err := get(tx, inc.ID)
		if err != nil {
			return err
		}
		at := now()
		return c.editOthers(tx, current, at, at, nil)
	})
}

func problems(found []page.Evidence) (n int) {
	for _, e := range found {
		if e.Problem != "" {
			n++
		}
	}
	return n
}

func (c courier) keepFindings(id int64, keep func(Tx) error) {
	if err := c.update(context.WithoutCancel(c.sends), keep); err != nil {
		c.c.Logger.ErrorContext(c.sends, "keep evidence", "incident", id, "err", err)
	}
}

func keepEvidence(tx Tx, id int64, found []page.Evidence, prefix string) error {
	if err := tx.SaveEvidence(id, found); err != nil || len(found) == 0 {
		return err
	}
	return tx.AddEvents(id, alert.Event{At: now(), Kind: alert.EventEvidence, Text: prefix + summary(found)})
}

// summary says of each source what it found.
func summary(found []page.Evidence) string {
	parts := make([]string, len(found))
	for i, e := range found {
		parts[i] = fmt.Sprintf("%s: %d patterns", e.Source, len(e.Patterns))
		if e.Problem != "" {
			parts[i] += " (" + cut(e.Problem, 200) + ")"
		}
	}
	return strings.Join(parts, "; ")
}
