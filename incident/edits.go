package incident

import (
	"fmt"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// coalesce is how long a message is left as it is after alerts changed: more
// of them may.
const coalesce = time.Second

// refresh has every message of the incident that its channel can change
// brought up to date soon. It saves nothing of inc.
func (e *Engine) refresh(tx Tx, inc alert.Incident, at time.Time) error {
	return e.edit(tx, inc, at, at.Add(coalesce))
}

// edit has the messages of the incident brought up to date at due. One update
// of a message is queued at a time.
func (e *Engine) edit(tx Tx, inc alert.Incident, at, due time.Time) error {
	told, err := tx.Told(inc.ID)
	if err != nil {
		return err
	}
	seen := map[page.Contact]bool{}
	for _, c := range told {
		if seen[c] || !e.c.Sender.Edits(c.Channel) {
			continue
		}
		seen[c] = true
		p := page.Page{
			Key:  fmt.Sprintf("%s/updated/%s/%s/%s", keyPrefix(inc), strconv.FormatInt(at.UnixMilli(), 36), part(c.Channel), part(c.Address)),
			Kind: page.Updated, To: c, At: due, Round: inc.Round, Incident: inc,
		}
		if err := tx.Update(due, p); err != nil {
			return err
		}
	}
	return nil
}
