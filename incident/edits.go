package incident

import (
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// How long a message is left as it is after alerts changed.
const (
	coalesce    = 300 * time.Millisecond // after the last change: there may be more
	coalesceMax = 5 * time.Second        // after the first one
)

// maxEdits is how often an update of a message is tried.
const maxEdits = 5

// refresh has every message of the incident that its channel can change
// brought up to date soon, and its first page wait for more alerts to join. It
// saves nothing of inc.
func (e *Engine) refresh(tx Tx, inc alert.Incident, at time.Time) error {
	if inc.Round == 0 {
		return nil
	}
	of := []int64{inc.ID}
	if err := tx.Settle(of, at.Add(settleTime)); err != nil {
		return err
	}
	return tx.Joined(of, at.Add(coalesce), at.Add(coalesceMax))
}

// catchUp has a message that was just sent brought up to date when its
// incident changed while it was on its way.
func (e *Engine) catchUp(tx Tx, p page.Page, at time.Time) error {
	changed, err := tx.Outdated(p.Key)
	if err != nil || !changed {
		return err
	}
	due := at.Add(coalesce)
	return tx.Update(due, page.Page{
		Key:  updateKey(p.Incident, at) + "/" + contactKey(p.To),
		Kind: page.Updated, To: p.To, At: due, Round: p.Round, Incident: p.Incident,
	})
}

// editOthers has the messages of the incident but those of some threads
// brought up to date at due. One update of a message waits at a time.
func (e *Engine) editOthers(tx Tx, inc alert.Incident, at, due time.Time, but map[page.Thread]bool) error {
	if inc.Round < 1 {
		return nil
	}
	posts, err := tx.Posts([]int64{inc.ID})
	if err != nil {
		return err
	}
	for of, post := range posts {
		if but[of] {
			continue
		}
		p := page.Page{
			Key:  updateKey(inc, at) + "/" + contactKey(post.To),
			Kind: page.Updated, To: post.To, At: due, Round: inc.Round, Incident: inc,
		}
		if err := tx.Update(due, p); err != nil {
			return err
		}
	}
	return nil
}

func updateKey(inc alert.Incident, at time.Time) string {
	return keyPrefix(inc) + "/updated/" + base36(at)
}

func base36(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 36) }
