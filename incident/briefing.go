package incident

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// minFactsWait is how long a page waits for the SLO's standing when it waits
// for no evidence.
const minFactsWait = time.Second

// brief returns what a page says beyond its incident. The two halves are
// found at the same time, each within its wait.
func (c courier) brief(ctx context.Context, inc alert.Incident, kind page.Kind) (slo page.SLO, found []page.Evidence) {
	var halves sync.WaitGroup
	halves.Go(func() { slo = c.facts(ctx, inc, max(c.c.EvidenceWait, minFactsWait)) })
	halves.Go(func() { found = c.evidence(ctx, inc, kind) })
	halves.Wait()
	return slo, found
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

// evidence returns what is stored of the incident, or else looks for it: once
// for all pages that wait for it. The page that tells of the end waits for none.
func (c courier) evidence(ctx context.Context, inc alert.Incident, kind page.Kind) []page.Evidence {
	if c.c.Evidence == nil {
		return nil
	}
	if found, looked, err := c.storedEvidence(ctx, inc.ID); err != nil || looked || kind == page.Resolved {
		if err != nil {
			c.c.Logger.ErrorContext(ctx, "read evidence", "incident", inc.ID, "err", err)
		}
		return found
	}
	found, _, _ := c.flights.Do(strconv.FormatInt(inc.ID, 10), func() (any, error) {
		// Another page may have looked between our reading and our turn.
		if found, looked, err := c.storedEvidence(ctx, inc.ID); err == nil && looked {
			return found, nil
		}
		return c.collect(ctx, inc), nil
	})
	return found.([]page.Evidence)
}

func (c courier) storedEvidence(ctx context.Context, id int64) (found []page.Evidence, looked bool, err error) {
	err = c.c.Store.View(ctx, func(tx Tx) (err error) {
		found, looked, err = tx.Evidence(id)
		return err
	})
	return found, looked, err
}

// collect looks for evidence for as long as a page may wait for it, and goes
// on behind the page's back when that was too short.
func (c courier) collect(ctx context.Context, inc alert.Incident) []page.Evidence {
	var found []page.Evidence
	patience := c.c.EvidenceWait
	begun := time.Now()
	if patience > 0 {
		var ok bool
		if found, ok = within(ctx, patience, func(ctx context.Context) []page.Evidence { return c.c.Evidence.Collect(ctx, inc) }); !ok {
			found = []page.Evidence{{Source: "evidence", Problem: fmt.Sprintf("no answer within %s", patience)}}
		}
	}
	c.keepEvidence(ctx, inc.ID, found, "")
	if time.Since(begun) >= patience*9/10 {
		c.work.Go(func() { c.collectLate(ctx, inc, found) })
	}
	return found
}

// collectLate looks again, with more time, for the incident's page.
func (c courier) collectLate(ctx context.Context, inc alert.Incident, early []page.Evidence) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.stopping: // nobody waits for it
			cancel()
		case <-ctx.Done():
		}
	}()
	found, ok := within(ctx, c.c.EvidenceTime, func(ctx context.Context) []page.Evidence { return c.c.Evidence.Collect(ctx, inc) })
	if ok && ctx.Err() == nil && (len(early) == 0 || problems(found) < problems(early)) {
		c.keepEvidence(ctx, inc.ID, found, "after the page: ")
	}
}

func problems(found []page.Evidence) (n int) {
	for _, e := range found {
		if e.Problem != "" {
			n++
		}
	}
	return n
}

func (c courier) keepEvidence(ctx context.Context, id int64, found []page.Evidence, prefix string) {
	err := c.c.Store.Update(ctx, func(tx Tx) error {
		if err := tx.SaveEvidence(id, found); err != nil {
			return err
		}
		if len(found) == 0 {
			return nil
		}
		return tx.AddEvents(id, alert.Event{At: now(), Kind: alert.EventEvidence, Text: prefix + summary(found)})
	})
	if err != nil {
		c.c.Logger.ErrorContext(ctx, "keep evidence", "incident", id, "err", err)
	}
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
