package incident

import (
	"fmt"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

const (
	// coalesce is how long a message is left as it is after alerts changed:
	// more of them may.
	coalesce = 500 * time.Millisecond
	// maxEdits is how often an update of a message is tried.
	maxEdits = 5
)

// refresh has every message of the incident that its channel can change
// brought up to date soon, and its first page wait for more alerts to join. It
// saves nothing of inc.
func (e *Engine) refresh(tx Tx, inc alert.Incident, at time.Time) error {
	if inc.Round == 1 && e.c.EvidenceWait > 0 {
		if err := tx.Settle(inc.ID, at.Add(settleTime)); err != nil {
			return err
		}
	}
	return e.editOthers(tx, inc, at, at.Add(coalesce), nil)
}

// editOthers has the messages of the incident but those of some threads
// brought up to date at due. One update of a message waits at a time.
func (e *Engine) editOthers(tx Tx, inc alert.Incident, at, due time.Time, but map[page.Thread]bool) error {
	if inc.Round == 0 {
		return nil
	}
	told, err := tx.Told(inc.ID)
	if err != nil {
		return err
	}
	seen := map[page.Thread]bool{}
	for _, c := range told {
		p := page.Page{
			Key:  fmt.Sprintf("%s/updated/%s/%s", keyPrefix(inc), base36(at), contactKey(c)),
			Kind: page.Updated, To: c, At: due, Round: inc.Round, Incident: inc,
		}
		if of := p.Thread(); seen[of] || but[of] || !e.c.Sender.Edits(c.Channel) {
			continue
		}
		seen[p.Thread()] = true
		if err := tx.Update(due, p); err != nil {
			return err
		}
	}
	return nil
}

func base36(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 36) }
