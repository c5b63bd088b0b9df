package slack

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackutilsx"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Slack's limits, in characters but for blocks, and ours within them.
const (
	maxHeader = 150
	maxButton = 75
	maxURL    = 3000
	maxBlocks = 50
	maxRich   = 2800 // of 3,000, a newline here and there
	maxNews   = 20   // lines of a story in one answer
	maxEvent  = 500
	maxLinks  = 5
	maxActed  = 10 // incidents of a bundle that have buttons
)

// message is what is posted: blocks to be read, and a text for notifications.
type message struct {
	text      string // mrkdwn, escaped
	blocks    []slack.Block
	thread    string // timestamp of the message that it answers; "" for none
	broadcast bool
	key       string // of its page
}

// message composes the whole of a page.
func (n *Notifier) message(p page.Page, at target) message {
	m, b := p.Message(), builder{}
	b.add(slack.NewHeaderBlock(plainText(shorten(icon(p)+m.Lead, maxHeader))))
	b.call(n.called(p, target{conversation: at.conversation}))
	for _, notice := range m.Notices {
		b.line(bold(notice))
	}
	for _, f := range m.Facts {
		b.line(bold(f.Label+": "), text(f.Text))
	}
	for _, s := range m.Standings {
		b.line(text("• " + s))
	}
	for _, f := range m.Findings {
		b.finding(f)
	}
	b.body(m.Body)
	b.flush()
	n.others(&b, p, m)
	n.controls(&b, p, m)
	return message{text: slackutilsx.EscapeMessage(strings.Join(append([]string{m.Lead}, m.Notices...), "\n")), blocks: b.blocks}
}

// answer composes what is said in the thread: why the page is sent, and what
// is new.
func (n *Notifier) answer(p page.Page, at target, news []string) message {
	m, b := p.Message(), builder{}
	silent := p.Kind == page.Updated
	said := m.Lead
	if silent {
		said = news[len(news)-1]
	} else {
		b.call(n.called(p, at))
		b.line(bold(icon(p) + m.Lead))
		for _, notice := range m.Notices {
			b.line(text(notice))
			said += "\n" + notice
		}
	}
	for _, line := range news {
		b.line(text(line))
	}
	b.flush()
	if !silent && n.interactive() && waits(p) {
		b.add(slack.NewActionBlock("", button(acknowledge, p.Incident.ID, p.Buttons().Acknowledge, slack.StylePrimary)))
	}
	return message{text: slackutilsx.EscapeMessage(said), blocks: b.blocks, broadcast: !silent}
}

// icon shows how urgent a page is, before its words.
func icon(p page.Page) string {
	if p.Kind == page.Resolved || p.Incident.Status == alert.Closed {
		return "✅ "
	}
	switch p.Level() {
	case alert.P1:
		return "🔴 "
	case alert.P2:
		return "🟠 "
	case alert.P3:
		return "🟡 "
	case alert.Info:
	}
	return "🔵 "
}

// called returns whom a page calls by name: the reader in their own
// conversation, and in a channel, for a P1, whom the configuration says.
func (n *Notifier) called(p page.Page, at target) slack.RichTextSectionElement {
	switch {
	case at.user != "":
		return slack.NewRichTextSectionUserElement(at.user, nil)
	case strings.HasPrefix(at.conversation, "D"):
		return nil
	case n.config.Mention != "" && p.Level() == alert.P1 && p.Kind != page.Resolved:
		return slack.NewRichTextSectionBroadcastElement(n.config.Mention)
	}
	return nil
}

// waits tells whether the page's incident waits for somebody.
func waits(p page.Page) bool {
	return p.Incident.ID != 0 && p.Kind != page.Resolved && p.Incident.Status != alert.Closed && p.Incident.Status != alert.Acknowledged
}

// since returns the lines of the story that the thread has not told, and the
// place after them.
func (n *Notifier) since(c cursor, p page.Page) (lines []string, to cursor) {
	news, to := c.since(p.Story)
	zone, err := time.LoadLocation(p.To.Timezone)
	if err != nil || p.To.Timezone == "Local" {
		zone = time.UTC
	}
	for _, e := range news {
		if e.Kind == alert.EventPaged || e.Kind == alert.EventEvidence {
			continue // who was paged is seen here, and the evidence in the message
		}
		line := e.At.In(zone).Format("15:04:05") + " " + clean(e.Text, maxEvent)
		if actor := clean(e.Actor, maxEvent); actor != "" && !strings.Contains(e.Text, e.Actor) {
			line += " (" + actor + ")"
		}
		lines = append(lines, line)
	}
	return lines[max(0, len(lines)-maxNews):], to
}

// clean returns text on one line, without characters that nobody sees, at most
// limit characters long.
func clean(words string, limit int) string {
	words = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, words)
	return shorten(strings.Join(strings.Fields(words), " "), limit)
}

func shorten(words string, limit int) string {
	if runes := []rune(words); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return words
}

func plainText(words string) *slack.TextBlockObject {
	return &slack.TextBlockObject{Type: slack.PlainTextType, Text: words}
}

// Rich text is what it says: nothing in it is read as markup, a link or a
// mention.
func text(words string) slack.RichTextSectionElement {
	return slack.NewRichTextSectionTextElement(words, nil)
}

func bold(words string) slack.RichTextSectionElement {
	return slack.NewRichTextSectionTextElement(words, &slack.RichTextSectionTextStyle{Bold: true})
}

func link(l page.Link) slack.RichTextSectionElement {
	return slack.NewRichTextSectionLinkElement(l.URL, l.Label, nil)
}

// others lists the incidents of a bundle, the first with buttons.
func (n *Notifier) others(b *builder, p page.Page, m page.Message) {
	entries := slices.Clone(p.Others) // in the order of the message
	slices.SortStableFunc(entries, func(a, b page.Entry) int { return cmp.Compare(a.Incident.Level, b.Incident.Level) })
	for i, o := range m.Others {
		if o.URL == "" {
			b.line(text("• " + o.Text))
		} else {
			b.line(text("• "), link(page.Link{Label: o.Text, URL: o.URL}))
		}
		if i < min(maxActed, len(entries)) && n.interactive() && waits(page.Page{Kind: entries[i].Kind, Incident: entries[i].Incident}) {
			b.flush()
			b.add(slack.NewActionBlock("", button(acknowledge, entries[i].Incident.ID, p.Buttons().Acknowledge, "")))
		}
	}
	b.flush()
}

// controls adds what the reader can do.
func (n *Notifier) controls(b *builder, p page.Page, m page.Message) {
	if !n.interactive() {
		for _, l := range append([]page.Link{m.Ack}, m.Links...) {
			if l.URL != "" {
				b.line(link(l))
			}
		}
		b.flush()
	}
	if !n.interactive() {
		if m.Do != "" {
			b.last(slack.NewContextBlock("", plainText(m.Do)))
		}
		return
	}
	var elements []slack.BlockElement
	if p.Incident.ID != 0 && p.Kind != page.Resolved && p.Incident.Status != alert.Closed {
		elements = acts(p)
	}
	for i, l := range m.Links[:min(len(m.Links), maxLinks)] {
		if len(l.URL) > maxURL {
			continue
		}
		open := slack.NewButtonBlockElement("link:"+strconv.Itoa(i), "", plainText(shorten(l.Label, maxButton)))
		open.URL = l.URL
		elements = append(elements, open)
	}
	if len(elements) > 0 {
		b.last(slack.NewActionBlock("", elements...))
	}
}

// acts returns the buttons of an incident that is not over.
func acts(p page.Page) (elements []slack.BlockElement) {
	words, id := p.Buttons(), p.Incident.ID
	if waits(p) {
		elements = append(elements, button(acknowledge, id, words.Acknowledge, slack.StylePrimary))
	}
	elements = append(elements, button(escalate, id, words.Escalate, ""))
	end := button(resolve, id, words.Resolve, slack.StyleDanger)
	end.Confirm = slack.NewConfirmationBlockObject(plainText(words.Resolve), plainText(shorten(p.Subject(), 300)),
		plainText(words.Resolve), plainText(in(p.To, "Cancel", "取消")))
	var options []*slack.OptionBlockObject
	for _, s := range snoozes() {
		options = append(options, slack.NewOptionBlockObject(s.value, plainText(in(p.To, s.en, s.zh)), nil))
	}
	return append(elements, end, slack.NewOptionsSelectBlockElement(slack.OptTypeStatic, plainText(words.Snooze), actionID(snooze, id), options...))
}

func button(verb string, id int64, words string, style slack.Style) *slack.ButtonBlockElement {
	b := slack.NewButtonBlockElement(actionID(verb, id), strconv.FormatInt(id, 10), plainText(shorten(words, maxButton)))
	b.Style = style
	return b
}

func in(to page.Contact, en, zh string) string {
	if to.Lang() == "zh" {
		return zh
	}
	return en
}

// snoozes are the lengths of time that the menu offers.
func snoozes() []struct{ value, en, zh string } {
	return []struct{ value, en, zh string }{
		{"30m", "30 minutes", "30 分钟"}, {"1h", "1 hour", "1 小时"}, {"4h", "4 hours", "4 小时"}, {"8h", "8 hours", "8 小时"},
	}
}
