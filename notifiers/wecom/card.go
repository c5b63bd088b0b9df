package wecom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// The lengths of a card's parts, in characters: what is longer a phone does
// not show. The provider advises them; those of main_title are for a title and
// a line below it
// (https://developer.work.weixin.qq.com/document/path/90236, 按钮交互型).
const (
	maxTitle  = 64
	maxDesc   = 88
	maxSub    = 160
	maxKey    = 12
	maxValue  = 60
	maxQuote  = 200
	maxRows   = 6
	maxButton = 10
)

// card is a template card with buttons.
type card struct {
	Type       string   `json:"card_type"`
	Source     source   `json:"source"`
	MainTitle  title    `json:"main_title"`
	Quote      *quote   `json:"quote_area,omitempty"`
	SubTitle   string   `json:"sub_title_text,omitempty"`
	Rows       []row    `json:"horizontal_content_list,omitempty"`
	CardAction *action  `json:"card_action,omitempty"`
	TaskID     string   `json:"task_id"`
	Buttons    []button `json:"button_list,omitempty"`
}

type source struct {
	Desc  string `json:"desc"`
	Color int    `json:"desc_color"` // 0 grey, 1 black, 2 red, 3 green
}

type title struct {
	Title string `json:"title"`
	Desc  string `json:"desc,omitempty"`
}

type quote struct {
	Title string `json:"title,omitempty"`
	Text  string `json:"quote_text"`
}

type row struct {
	Type  int    `json:"type,omitempty"` // 1 a link
	Key   string `json:"keyname"`
	Value string `json:"value,omitempty"`
	URL   string `json:"url,omitempty"`
}

type action struct {
	Type int    `json:"type"` // 1 a link
	URL  string `json:"url"`
}

type button struct {
	Text  string `json:"text"`
	Style int    `json:"style"` // 1 blue, 2 red, 3 green, 4 grey
	Key   string `json:"key"`   // comes back with a click
}

// newCard lays a page out as a card.
func newCard(p page.Page) *card {
	m := p.Message()
	c := &card{
		Type:      "button_interaction",
		Source:    source{Desc: "Midwatch", Color: color(p.Incident.Level)},
		MainTitle: title{Title: short(m.Lead, maxTitle), Desc: short(strings.Join(state(p, m), " "), maxDesc)},
		Quote:     evidence(m),
		SubTitle:  short(strings.Join(m.Standings, "\n"), maxSub),
		Rows:      rows(m),
		Buttons:   buttons(p),
	}
	if len(m.Links) > 0 {
		c.CardAction = &action{Type: 1, URL: m.Links[0].URL}
	}
	c.TaskID = taskID(p, c)
	return c
}

func color(l alert.Level) int {
	if l == alert.P1 {
		return 2
	}
	return 0
}

// state is why the card is sent, and how the incident stands.
func state(p page.Page, m page.Message) []string {
	if p.Incident.Status != alert.Acknowledged || p.Incident.AckedAt.IsZero() {
		return m.Notices
	}
	rest := p
	rest.Incident.Status = alert.Open
	by := wordsOf(p.To).acknowledged(p.Incident.AckedBy, p.Incident.AckedAt, p.To.Timezone)
	return append([]string{by}, rest.Message().Notices...)
}

// evidence is the first thing that was found, with its link.
func evidence(m page.Message) *quote {
	for _, f := range m.Findings {
		if len(f.Patterns) == 0 {
			continue
		}
		text := f.Patterns[0].Text
		if f.Patterns[0].Counts != "" {
			text = f.Patterns[0].Counts + ": " + text
		}
		return &quote{Title: short(f.Title, maxDesc), Text: short(text, maxQuote)}
	}
	return nil
}

// rows are the facts, and the links after the first that fit.
func rows(m page.Message) (all []row) {
	for _, f := range m.Facts {
		all = append(all, row{Key: short(f.Label, maxKey), Value: short(f.Text, maxValue)})
	}
	links := m.Links[min(1, len(m.Links)):]
	all = all[:min(len(all), maxRows-min(len(links), 1))]
	for _, l := range links {
		if len(all) < maxRows {
			all = append(all, row{Type: 1, Key: short(l.Label, maxKey), Value: "↗", URL: l.URL})
		}
	}
	return all
}

// The verbs of a button's key, and of what members write.
const (
	verbAcknowledge = "ack"
	verbEscalate    = "escalate"
	verbResolve     = "resolve"
)

func buttons(p page.Page) (all []button) {
	texts := p.Buttons()
	add := func(verb, text string, style int) {
		o := order{Verb: verb, Incident: p.Incident.ID, Language: p.To.Lang(), Timezone: p.To.Timezone}
		all = append(all, button{Text: short(text, maxButton+2), Style: style, Key: o.String()})
	}
	if p.Incident.Status != alert.Acknowledged {
		add(verbAcknowledge, texts.Acknowledge, 1)
	}
	add(verbEscalate, texts.Escalate, 2)
	return all
}

// taskID names the card: the same for every try of a page that reads the same,
// unique within the application, at most 128 bytes of letters, digits, "-",
// "_" and "@". The provider takes a name once.
func taskID(p page.Page, c *card) string {
	content, err := provider.Encode(c)
	if err != nil {
		content = nil // plain structs of texts encode
	}
	sum := sha256.Sum256(append([]byte(p.Key+"\x00"+p.To.Address+"\x00"), content...))
	return fmt.Sprintf("midwatch-%d-%s", p.Incident.ID, hex.EncodeToString(sum[:16]))
}

// taskIn returns the name of the card in a request to send one, "" when there
// is none.
func taskIn(body []byte) string {
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.Card == nil {
		return ""
	}
	return m.Card.TaskID
}

// order is what somebody asks to be done.
type order struct {
	Verb     string
	Incident int64
	Language string // to answer in
	Timezone string // to answer in
}

// String returns the order as a button's key, at most 1,024 bytes.
func (o order) String() string {
	return strings.Join([]string{o.Verb, strconv.FormatInt(o.Incident, 10), o.Language, o.Timezone}, ":")
}

// parseOrder reads a button's key.
func parseOrder(key string) (order, bool) {
	parts := strings.SplitN(key, ":", 4)
	if len(parts) != 4 || len(key) > 1024 {
		return order{}, false
	}
	id, err := strconv.ParseInt(parts[1], 10, 64)
	o := order{parts[0], id, parts[2], parts[3]}
	return o, err == nil && id > 0 && (o.Verb == verbAcknowledge || o.Verb == verbEscalate)
}

// zone returns a time zone by its name, UTC when there is none.
func zone(name string) *time.Location {
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	return loc
}

// short cuts text to limit characters, the last of which is then "…".
func short(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}
