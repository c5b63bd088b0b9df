package page

import "time"

// State is where a page is in its life.
type State string

// The life of a page.
const (
	Queued  State = "queued"  // it waits to be sent, or is being sent
	Bundled State = "bundled" // another page that waits stands for it
	Sent    State = "sent"    // a provider accepted it
	Dead    State = "dead"    // no provider will take it
	Dropped State = "dropped" // nobody needs it any more
)

// Record is a page as the outbox keeps it. Of the incident it knows the ID and
// the level.
type Record struct {
	Page
	State     State     `json:"state"`
	Due       time.Time `json:"due"`                 // when it may be sent or, while somebody sends it, when others may
	Claimed   bool      `json:"claimed"`             // somebody sends it
	Held      bool      `json:"held"`                // its provider said when to come back
	SettledAt time.Time `json:"settled_at,omitzero"` // when it was sent, or given up
	Reason    string    `json:"reason,omitempty"`    // of the last failure, or why it was dropped
}

// Thread is where the messages about an incident to one address belong.
type Thread struct {
	Incident int64
	Channel  string
	Address  string
}

// Thread returns where the page belongs.
func (p Page) Thread() Thread { return Thread{p.Incident.ID, p.To.Channel, p.To.Address} }

// Post is a message about an incident that its provider can change.
type Post struct {
	Ref string // the provider's reference to it
	To  Contact
}

// Drill is the record of an exercise.
type Drill struct {
	Incident     int64         `json:"incident"`
	By           string        `json:"by"`
	At           time.Time     `json:"at"`
	DeliveredAt  time.Time     `json:"delivered_at,omitzero"`
	AckedAt      time.Time     `json:"acked_at,omitzero"`
	Delivery     time.Duration `json:"delivery,omitzero"`        // from At until a provider accepted the first page; 0 while none has
	Acknowledged time.Duration `json:"acknowledgement,omitzero"` // from At; 0 while nobody has
}
