package feishu

import (
	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/robot"
	"github.com/midwatch-slo/midwatch/page"
)

// layout is a card.
type layout struct {
	Config   options   `json:"config"`
	Header   header    `json:"header"`
	Elements []element `json:"elements"`
}

type options struct {
	Wide bool `json:"wide_screen_mode"`
}

type header struct {
	Title    plain  `json:"title"`
	Template string `json:"template"` // a colour
}

type plain struct {
	Tag     string `json:"tag"`
	Content string `json:"content"`
}

// element is Markdown, or a row of buttons.
type element struct {
	Tag     string   `json:"tag"`
	Content string   `json:"content,omitempty"`
	Actions []button `json:"actions,omitempty"`
}

type button struct {
	Tag  string `json:"tag"`
	Text plain  `json:"text"`
	URL  string `json:"url"`
	Type string `json:"type"`
}

func plainText(text string) plain { return plain{"plain_text", text} }

func dialect() robot.Dialect { return robot.Dialect{Break: "\n", Quote: "", Buttons: true} }

// newLayout lays a page out as a card, with at most room bytes of Markdown.
func newLayout(p page.Page, mention string, room int) *layout {
	m := p.Message()
	l := &layout{Config: options{Wide: true}, Header: header{plainText(robot.Inert(m.Lead)), color(p)}}
	if content := robot.Markdown(p, dialect(), mention, room); content != "" {
		l.Elements = append(l.Elements, element{Tag: "markdown", Content: content})
	}
	var links []button
	if m.Ack.URL != "" {
		links = append(links, button{"button", plainText(p.Buttons().Acknowledge), m.Ack.URL, "primary"})
	}
	if len(m.Links) > 0 {
		links = append(links, button{"button", plainText(m.Links[0].Label), m.Links[0].URL, "default"})
	}
	if len(links) > 0 {
		l.Elements = append(l.Elements, element{Tag: "action", Actions: links})
	}
	return l
}

// color tells the level at a glance: it is green when all is over, and grey
// for an exercise.
func color(p page.Page) string {
	if p.Kind != page.Bundle && p.Kind != page.Report {
		switch {
		case p.Incident.Drill:
			return "grey"
		case p.Kind == page.Resolved || p.Incident.Status == alert.Closed:
			return "green"
		}
	}
	switch p.Level() {
	case alert.P1:
		return "red"
	case alert.P2:
		return "orange"
	case alert.P3:
		return "yellow"
	default:
		return "blue"
	}
}
