package email

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of what a mail repeats.
const (
	maxText      = 64 << 10 // bytes of the text part
	maxName      = 80       // characters of a name
	maxSubject   = 200      // characters
	maxElsewhere = 3        // links beside that to the incident; the text part has all
	maxPreview   = 140      // characters of what a list of mails shows beside the subject
)

// compose makes the mail. But for the times of signatures, it depends on the
// page alone, byte by byte: the same page is the same mail.
func (n *Notifier) compose(p page.Page, to string) (*gomail.Msg, error) {
	id := messageID(p)
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithBoundary("midwatch-"+id))
	msg.FromMailAddress(n.sender(p))
	msg.ToMailAddress(&mail.Address{Name: oneLine(p.To.FullName, maxName), Address: to})
	msg.Subject(subject(p))
	if p.At.IsZero() {
		msg.SetDate() // now, the same for the signature and for what is signed
	} else {
		msg.SetDateWithValue(p.At)
	}
	msg.SetMessageIDWithValue("page-" + id + "@" + n.domain())
	n.headers(msg, p, "<incident-"+incidentID(p)+"@"+n.domain()+">")
	msg.SetBodyString(gomail.TypeTextPlain, p.Text(maxText))
	if err := n.illustrate(msg, p, id); err != nil {
		return nil, err
	}
	return msg, n.sign(msg)
}

// subject is what all mails of an incident's level are called: Gmail makes a
// thread only of mails with the same subject (a "Re:" before it aside). Where
// an operator's template words the first line, that is the subject.
func subject(p page.Page) string {
	text := cmp.Or(p.Rendered.Lead, p.Topic())
	if p.Kind != page.Opened && threaded(p) {
		text = "Re: " + text
	}
	return oneLine(text, maxSubject)
}

// sender is who the mail is from. Since the subject stays, the name tells the
// end of an incident, on a lock screen too.
func (n *Notifier) sender(p page.Page) *mail.Address {
	if !over(p) {
		return n.from
	}
	name := cmp.Or(n.from.Name, "Midwatch")
	return &mail.Address{Name: name + " · " + wordsOf(p).over, Address: n.from.Address}
}

func over(p page.Page) bool {
	return p.Kind == page.Resolved || p.Kind == page.Updated && p.Incident.Status == alert.Closed
}

// threaded tells whether the mail is one of several about an incident.
func threaded(p page.Page) bool { return p.Kind != page.Bundle && p.Kind != page.Report }

// incidentID names the incident: a store that begins anew counts its
// incidents anew.
func incidentID(p page.Page) string {
	return hash("incident", strconv.FormatInt(p.Incident.ID, 10), p.Incident.Key, strconv.FormatInt(p.Incident.OpenedAt.Unix(), 10))
}

// messageID names the page.
func messageID(p page.Page) string { return hash("page", incidentID(p), p.Key) }

// illustrate adds the HTML, and the picture where the HTML shows it
// (multipart/related, RFC 2387).
func (n *Notifier) illustrate(msg *gomail.Msg, p page.Page, id string) error {
	html := p.Rendered.HTML
	if html == "" {
		var err error
		if html, err = render(p); err != nil {
			return err
		}
	}
	var image []byte
	if strings.Contains(html, "cid:"+p.ChartID()) {
		var err error
		if image, err = picture(n.font, p.SLO.Standings); err != nil {
			return err
		}
	}
	if image == nil {
		msg.AddAlternativeString(gomail.TypeTextHTML, html)
		return nil
	}
	related, err := relate(html, image, p.ChartID(), "related-"+id)
	if err != nil {
		return err
	}
	msg.AddAlternativeString(gomail.ContentType(`multipart/related; type="text/html"; boundary=related-`+id), related, gomail.WithPartEncoding(gomail.NoEncoding))
	return nil
}

// relate joins the HTML and its picture to one part of a mail.
func relate(html string, image []byte, id, boundary string) (string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary(boundary); err != nil {
		return "", err
	}
	part, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {"text/html; charset=UTF-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
	if err != nil {
		return "", err
	}
	text := quotedprintable.NewWriter(part)
	_, err = text.Write([]byte(html))
	if err := errors.Join(err, text.Close()); err != nil {
		return "", err
	}
	part, err = w.CreatePart(textproto.MIMEHeader{
		"Content-Type": {"image/png"}, "Content-Transfer-Encoding": {"base64"},
		"Content-ID": {"<" + id + ">"}, "Content-Disposition": {`inline; filename="budget.png"`},
	})
	if err != nil {
		return "", err
	}
	const width = 57 // bytes that make a line of 76 characters (RFC 2045, section 6.8)
	for chunk := range slices.Chunk(image, width) {
		if _, err := io.WriteString(part, base64.StdEncoding.EncodeToString(chunk)+"\r\n"); err != nil {
			return "", err
		}
	}
	err = w.Close()
	return b.String(), err
}

// headers mark the mail: whose thread it belongs to (RFC 5322, section 3.6.4;
// the thread's root is never sent), what it is about, and that a machine sent
// it (RFC 3834, RFC 2919).
func (n *Notifier) headers(msg *gomail.Msg, p page.Page, root string) {
	incident := strconv.FormatInt(p.Incident.ID, 10)
	if !threaded(p) {
		root, incident = "", ""
	}
	for name, value := range map[gomail.Header]string{
		"References":               root,
		"In-Reply-To":              root,
		"List-Id":                  "Midwatch pages <midwatch." + n.domain() + ">",
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"X-Mailer":                 "Midwatch",
		"X-Midwatch-Incident":      incident,
		"X-Midwatch-Level":         p.Level().String(),
		"X-Midwatch-Kind":          oneLine(string(p.Kind), maxName),
	} {
		if value != "" {
			msg.SetGenHeader(name, value)
		}
	}
	if !over(p) && p.Level() == alert.P1 && !p.Incident.Drill {
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
