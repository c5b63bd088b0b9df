package email

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"

	gomail "github.com/wneessen/go-mail"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

//go:embed mail.html
var mailHTML string

// maxText bounds the text part, in bytes.
const maxText = 64 << 10

// compose makes the mail. It depends on the page alone, but for the
// boundaries between its parts.
func (n *Notifier) compose(p page.Page, to string) (*gomail.Msg, error) {
	html, err := render(p)
	if err != nil {
		return nil, err
	}
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(n.from)
	msg.ToMailAddress(&mail.Address{Name: p.To.FullName, Address: to})
	msg.Subject(p.Subject())
	msg.SetDateWithValue(p.At)
	n.headers(msg, p)
	msg.SetBodyString(gomail.TypeTextPlain, p.Text(maxText))
	msg.AddAlternativeString(gomail.TypeTextHTML, html)
	return msg, nil
}

// headers mark the mail: which page it is, whose thread it belongs to, and
// that a machine sent it (RFC 3834, RFC 2919).
func (n *Notifier) headers(msg *gomail.Msg, p page.Page) {
	domain := n.domain()
	root := fmt.Sprintf("<midwatch-incident-%d-%d@%s>", p.Incident.ID, p.Incident.OpenedAt.Unix(), domain)
	msg.SetMessageIDWithValue(messageID(p.Key, domain))
	for name, value := range map[string]string{
		"References":               root,
		"In-Reply-To":              root,
		"List-Id":                  "Midwatch pages <midwatch." + domain + ">",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"X-Mailer":                 "Midwatch",
		"X-Midwatch-Incident":      strconv.FormatInt(p.Incident.ID, 10),
		"X-Midwatch-Level":         p.Incident.Level.String(),
		"X-Midwatch-Kind":          string(p.Kind),
	} {
		msg.SetGenHeaderPreformatted(gomail.Header(name), value)
	}
	if p.Kind != page.Resolved && p.Incident.Level.Outranks(alert.P3) {
		msg.SetImportance(gomail.ImportanceHigh)
	}
}

// messageID is the same for every try to send a page.
func messageID(key, domain string) string {
	sum := sha256.Sum256([]byte(key))
	return "midwatch-" + hex.EncodeToString(sum[:16]) + "@" + domain
}

func (n *Notifier) domain() string {
	_, domain, _ := strings.Cut(n.from.Address, "@")
	return domain
}

func render(p page.Page) (string, error) {
	view, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = view.Execute(&b, struct {
		page.Message
		Colour   template.CSS
		Incident string
	}{p.Message(), colour(p), incidentLink(p)})
	return b.String(), err
}

// incidentLink returns the link that the button leads to, "" when there is
// none that is safe.
func incidentLink(p page.Page) string {
	for _, l := range p.Message().Links {
		if l.URL == p.Link {
			return l.URL
		}
	}
	return ""
}

// colour is readable under white text, on light and on dark ground.
func colour(p page.Page) template.CSS {
	switch {
	case p.Kind == page.Resolved:
		return "#1e7d43"
	case p.Incident.Level == alert.P1:
		return "#c22f2f"
	case p.Incident.Level == alert.P2:
		return "#b35a00"
	}
	return "#3a6ea5"
}

// replyCode returns the code of the server's reply that err is of, 0 when the
// server did not reply.
func replyCode(err error) int {
	var se *gomail.SendError
	if errors.As(err, &se) && se.ErrorCode() != 0 {
		return se.ErrorCode()
	}
	var te *textproto.Error
	if errors.As(err, &te) {
		return te.Code
	}
	return 0
}
