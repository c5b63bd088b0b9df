package inbox

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"
)

// Bounds of what is read of one mail.
const (
	maxParts   = 30 // looked at, nested ones too
	maxDepth   = 8  // of parts in parts
	maxHeaders = 200
	maxHeader  = 16 << 10 // bytes of a value
)

// Message is one mail that arrived. Its texts are valid UTF-8; the HTML is as
// its sender wrote it.
type Message struct {
	ID      int               `json:"id"` // from 1
	Arrived time.Time         `json:"received_at"`
	From    string            `json:"from"` // of the envelope
	To      []string          `json:"to"`   // of the envelope
	Subject string            `json:"subject"`
	Headers map[string]string `json:"headers"` // by their canonical names, decoded; what comes twice is joined by newlines
	Text    string            `json:"text"`    // "" when there is no such part
	HTML    string            `json:"html"`    // "" when there is no such part
	RawSize int               `json:"raw_size"`
	Problem string            `json:"problem,omitempty"` // what of it cannot be read

	Inline     []Inline    `json:"inline,omitempty"`     // what the HTML shows by cid: addresses
	Signatures []Signature `json:"signatures,omitempty"` // of DKIM, where the server looks at them
	Structure  string      `json:"structure"`            // its parts, such as multipart/alternative(text/plain text/html)
}

// Inline is a part that belongs to the HTML (RFC 2387).
type Inline struct {
	ID   string `json:"id"` // without angle brackets
	Type string `json:"type"`
	Data []byte `json:"-"`
}

// Signature is one DKIM signature.
type Signature struct {
	Domain  string `json:"domain"`
	Problem string `json:"problem,omitempty"` // why it does not hold; "" when it does
}

// parse reads what a mail says. A mail that cannot be read is kept with its
// problem.
func parse(from string, to []string, content []byte) Message {
	m := Message{From: valid(from), Headers: map[string]string{}, RawSize: len(content)}
	for _, a := range to {
		m.To = append(m.To, valid(a))
	}
	message, err := mail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		m.Problem, m.Text = "not a mail", valid(string(content))
		return m
	}
	for name, values := range message.Header {
		if len(m.Headers) == maxHeaders {
			m.Problem = "too many headers"
			break
		}
		m.Headers[valid(name)] = headerText(values)
	}
	m.Subject = m.Headers["Subject"]
	parts := 0
	m.part(textproto.MIMEHeader(message.Header), message.Body, maxDepth, &parts)
	return m
}

// headerText returns what a reader would see of a header.
func headerText(values []string) string {
	text := strings.Join(values, "\n")
	if len(text) > maxHeader {
		text = text[:maxHeader]
	}
	var words mime.WordDecoder
	if decoded, err := words.DecodeHeader(text); err == nil {
		text = decoded
	}
	return valid(text)
}

func (m *Message) part(h textproto.MIMEHeader, body io.Reader, depth int, parts *int) {
	if *parts++; *parts > maxParts || depth == 0 {
		m.Problem = "too many parts"
		return
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	m.Structure += valid(kind)
	body = decoded(h.Get("Content-Transfer-Encoding"), body)
	if strings.HasPrefix(kind, "multipart/") {
		m.Structure += "("
		m.multipart(multipart.NewReader(body, params["boundary"]), depth, parts)
		m.Structure += ")"
		return
	}
	if id := strings.Trim(h.Get("Content-Id"), "<> "); id != "" && strings.HasPrefix(kind, "image/") {
		data, err := io.ReadAll(body)
		if err != nil {
			m.Problem = "a part cannot be decoded"
		}
		m.Inline = append(m.Inline, Inline{ID: valid(id), Type: valid(kind), Data: data})
		return
	}
	if disposition, _, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil && disposition == "attachment" {
		return
	}
	switch {
	case kind == "text/html" && m.HTML == "":
		m.HTML = m.content(params["charset"], body)
	case kind == "text/plain" && m.Text == "":
		m.Text = m.content(params["charset"], body)
	}
}

func (m *Message) multipart(r *multipart.Reader, depth int, parts *int) {
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil || *parts > maxParts {
			m.Problem = "its parts cannot be told apart"
			return
		}
		if !strings.HasSuffix(m.Structure, "(") {
			m.Structure += " "
		}
		m.part(p.Header, p, depth-1, parts)
	}
}

// content reads a part as far as it can be decoded.
func (m *Message) content(charset string, body io.Reader) string {
	content, err := io.ReadAll(body)
	if err != nil {
		m.Problem = "a part cannot be decoded"
	}
	text := string(content)
	switch strings.ToLower(charset) {
	case "iso-8859-1", "latin1", "windows-1252":
		runes := make([]rune, len(content))
		for i, b := range content {
			runes[i] = rune(b)
		}
		text = string(runes)
	}
	return strings.ReplaceAll(valid(text), "\r\n", "\n")
}

func decoded(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}

func valid(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }
