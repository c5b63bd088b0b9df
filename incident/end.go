package incident

import (
	"fmt"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// tellResolved tells everybody who was paged that it is over, each through
// the best channel that reached them in the first round that did, and brings
// other messages up to date. The end of a P3 waits for working hours, as its
// beginning did.
func (e *Engine) tellResolved(tx Tx, inc alert.Incident, at time.Time) error {
	told, err := tx.Told(inc.ID)
	if err != nil || len(told) == 0 {
		return err
	}
	due, err := e.endDue(tx, inc, at)
	if err != nil {
		return err
	}
	waits := e.patience(inc, page.Resolved, at)
	if due.After(at) {
		waits = patience{}
	}
	var people []string
	reached := map[page.Thread]bool{}
	for _, c := range told {
		who := part(c.User)
		if c.User == "" {
			who = contactKey(c)
		}
		if slices.Contains(people, who) {
			continue
		}
		people = append(people, who)
		p := page.Page{
			Key:  fmt.Sprintf("%s/resolved/%d/%s", keyPrefix(inc), inc.Reopened, who), // a person is told once
			Kind: page.Resolved, To: c, At: due, Round: inc.Round, Incident: inc,
		}
		reached[p.Thread()] = true
		if err := waits.enqueue(tx, due, p); err != nil {
			return err
		}
	}
	if waits.gather {
		if err := tx.Gather(inc.ID, at); err != nil {
			return err
		}
	}
	return e.editOthers(tx, inc, at, at, reached)
}

// endDue returns when the end of an incident may be told.
func (e *Engine) endDue(tx Tx, inc alert.Incident, at time.Time) (time.Time, error) {
	if inc.Level != alert.P3 {
		return at, nil
	}
	full, err := get(tx, inc.ID)
	if err != nil {
		return at, err
	}
	if w := e.workingTime(at, full); w.After(at) {
		return w, nil
	}
	return at, nil
}
