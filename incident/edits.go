package incident

import (
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// How long a message is left as it is after alerts changed.
const (
	coalesce    = 500 * time.Millisecond // after the last change: there may be more
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
	p := page.Page{Key: updateKey(inc, at), Round: inc.Round, Incident: inc}
	return tx.Joined(p, at.Add(settleTime), at.Add(coalesce), at.Add(coalesceMax))
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
