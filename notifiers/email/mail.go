package email

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"html/template"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

//go:embed mail.html
var mailHTML string

// Bounds of what a mail repeats.
const (
	maxText      = 64 << 10 // bytes of the text part
	maxName      = 80       // characters of a name
	maxSubject   = 200      // characters
	maxElsewhere = 3        // links beside that to the incident; the text part has all
	maxPreview   = 140      // characters of what a list of mails shows beside the subject
)

// compose makes the mail. It depends on the page alone, byte by byte: the
// same page is the same mail.
func (n *Notifier) compose(p page.Page, to string) (*gomail.Msg, error) {
	html, err := render(p)
	if err != nil {
		return nil, err
	}
	incident := hash("incident", strconv.FormatInt(p.Incident.ID, 10), p.Incident.Key, strconv.FormatInt(p.Incident.OpenedAt.Unix(), 10))
	id := hash("page", incident, p.Key) // a store that begins anew counts its incidents anew
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("midwatch-"+id))
	msg.FromMailAddress(n.from)
	msg.ToMailAddress(&mail.Address{Name: oneLine(p.To.FullName, maxName), Address: to})
	msg.Subject(oneLine(p.Subject(), maxSubject))
	if !p.At.IsZero() { // else go-mail takes the time at hand
		msg.SetDateWithValue(p.At)
	}
	msg.SetMessageIDWithValue("page-" + id + "@" + n.domain())
	n.headers(msg, p, "<incident-"+incident+"@"+n.domain()+">")
	msg.SetBodyString(gomail.TypeTextPlain, p.Text(maxText))
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	return msg, nil
}

// headers mark the mail: whose thread it belongs to (RFC 5322, section 3.6.4;
// the thread's root is never sent), what it is about, and that a machine sent
// it (RFC 3834, RFC 2919).
func (n *Notifier) headers(msg *gomail.Msg, p page.Page, root string) {
	for name, value := range map[gomail.Header]string{
		"References":               root,
		"In-Reply-To":              root,
		"List-Id":                  "Midwatch pages <midwatch." + n.domain() + ">",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"X-Mailer":                 "Midwatch",
		"X-Midwatch-Incident":      strconv.FormatInt(p.Incident.ID, 10),
		"X-Midwatch-Level":         p.Incident.Level.String(),
		"X-Midwatch-Kind":          oneLine(string(p.Kind), maxName),
	} {
		if value != "" {
			msg.SetGenHeader(name, value)
		}
	}
	if p.Kind != page.Resolved && p.Incident.Level == alert.P1 {
		msg.SetImportance(gomail.ImportanceHigh)
	}
}

// hash names something by what it is made of.
func hash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// domain returns what identifiers end with. A domain beyond ASCII has no
// place in them.
func (n *Notifier) domain() string {
	_, domain, _ := strings.Cut(n.from.Address, "@")
	if !isASCII(domain) {
		return "midwatch.invalid"
	}
	return domain
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}

// view is what the HTML part shows.
type view struct {
	page.Message
	Colour    template.CSS
	Preview   string
	Clusters  []cluster
	Named     bool        // the clusters have names
	Incident  string      // the link to its page, "" when there is none that is safe
	Elsewhere []page.Link // the other links
	To        string
}

func render(p page.Page) (string, error) {
	v := view{Message: p.Message(), Colour: colour(p), Clusters: clusters(p.SLO.Standings), To: oneLine(p.To.Address, maxName)}
	v.Preview = preview(v.Message)
	v.Named = slices.ContainsFunc(v.Clusters, func(c cluster) bool { return c.Name != "" })
	for _, l := range v.Links {
		if l.URL == p.Link {
			v.Incident = l.URL
		} else if len(v.Elsewhere) < maxElsewhere {
			v.Elsewhere = append(v.Elsewhere, l)
		}
	}
	t, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.String(), err
}

// preview is what matters most after the lead: what is unusual, how the worst
// cluster stands, and what its logs say.
func preview(m page.Message) string {
	parts := slices.Clone(m.Notices)
	if len(m.Standings) > 0 {
		parts = append(parts, m.Standings[0])
	}
	for _, f := range m.Findings {
		if len(f.Patterns) > 0 {
			parts = append(parts, f.Patterns[0].Text)
			break
		}
	}
	return oneLine(strings.Join(parts, " · "), maxPreview)
}

// colour tells the level at a glance.
func colour(p page.Page) template.CSS {
	switch {
	case p.Kind == page.Resolved:
		return "#2e7d4f"
	case p.Incident.Level == alert.P1:
		return "#c3281e"
	case p.Incident.Level == alert.P2:
		return "#e2a139"
	}
	return "#8b95a1"
}

// oneLine returns text without what could end a line or turn it around, at
// most limit characters long.
func oneLine(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			return ' '
		case unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > limit {
		return string(runes[:limit-1]) + "…"
	}
	return text
}
