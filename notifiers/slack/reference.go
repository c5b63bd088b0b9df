package slack

import (
	"encoding/json"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// reference is where an incident's message is, and how much of the story its
// thread has told.
type reference struct {
	Conversation string `json:"c"`
	TS           string `json:"ts"`
	Told         cursor `json:"told"`
}

// cursor is a place in a story: after the events until an instant, and so many
// of those at it. Stories may lose their beginning.
type cursor struct {
	At    time.Time `json:"at,omitzero"`
	Count int       `json:"n,omitzero"`
}

func (r reference) String() string {
	b, err := json.Marshal(r)
	if err != nil { // of an instant that JSON cannot write
		b, _ = json.Marshal(reference{Conversation: r.Conversation, TS: r.TS})
	}
	return string(b)
}

func parseReference(text string) (r reference, ok bool) {
	if text == "" || json.Unmarshal([]byte(text), &r) != nil {
		return reference{}, false
	}
	return r, conversationID.MatchString(r.Conversation) && r.TS != ""
}

// told returns the end of a story.
func told(story []alert.Event) (c cursor) {
	for _, e := range story {
		switch {
		case e.At.After(c.At):
			c = cursor{e.At, 1}
		case e.At.Equal(c.At):
			c.Count++
		}
	}
	return c
}

// since returns the events after the cursor, and the cursor after them.
func (c cursor) since(story []alert.Event) (news []alert.Event, to cursor) {
	same := 0
	for _, e := range story {
		if e.At.Equal(c.At) {
			same++
		}
		if e.At.After(c.At) || e.At.Equal(c.At) && same > c.Count {
			news = append(news, e)
		}
	}
	if len(news) == 0 {
		return nil, c
	}
	return news, told(story)
}
