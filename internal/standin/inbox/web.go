package inbox

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed inbox.html
var inboxHTML string

//go:embed inbox.js
var inboxJS string

// What a page and a mail in it may do. The mail may be looked at and lead
// elsewhere, in a new tab; the page's script may measure it.
const (
	pagePolicy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'"
	mailPolicy = "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'"
)

// ServeHTTP answers the inbox at /, a mail in it at /?id=N, the HTML of a
// mail at /html?id=N, and all mails as JSON at /messages.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	s.mux.HandleFunc("GET /{$}", s.page)
	s.mux.HandleFunc("GET /html", s.html)
	s.mux.HandleFunc("GET /messages", s.list)
	s.mux.HandleFunc("GET /inline", s.inline)
	s.mux.HandleFunc("GET /inbox.js", s.script)
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	messages := s.Messages()
	if messages == nil {
		messages = []Message{}
	}
	respond(w, "application/json; charset=utf-8", "")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": messages})
}

func (s *Server) script(w http.ResponseWriter, _ *http.Request) {
	respond(w, "text/javascript; charset=utf-8", "")
	_, _ = io.WriteString(w, inboxJS)
}

// inline answers a picture of a mail.
func (s *Server) inline(w http.ResponseWriter, r *http.Request) {
	m := s.find(r)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	for _, part := range m.Inline {
		if part.ID == r.URL.Query().Get("cid") && part.Type == "image/png" {
			respond(w, part.Type, "default-src 'none'")
			_, _ = w.Write(part.Data)
			return
		}
	}
	http.NotFound(w, r)
}

// shown returns the HTML with its pictures at addresses that a browser has.
func (m *Message) shown() string {
	html := m.HTML
	for _, part := range m.Inline {
		html = strings.ReplaceAll(html, `src="cid:`+part.ID+`"`, fmt.Sprintf(`src="./inline?id=%d&amp;cid=%s"`, m.ID, url.QueryEscape(part.ID)))
	}
	return html
}

// html answers the HTML part alone. Links in it open elsewhere.
func (s *Server) html(w http.ResponseWriter, r *http.Request) {
	m := s.find(r)
	if m == nil {
		http.NotFound(w, r)
		return
	}
	respond(w, "text/html; charset=utf-8", mailPolicy)
	_, _ = io.WriteString(w, m.shown()+`<base target="_blank">`)
}

// find returns the mail that a request asks for, nil when there is none.
func (s *Server) find(r *http.Request) *Message {
	for _, m := range s.Messages() {
		if strconv.Itoa(m.ID) == r.URL.Query().Get("id") {
			return &m
		}
	}
	return nil
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	v, ok := s.view(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	t, err := template.New("inbox").Parse(inboxHTML)
	var b bytes.Buffer
	if err == nil {
		err = t.Execute(&b, v)
	}
	if err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	respond(w, "text/html; charset=utf-8", pagePolicy)
	_, _ = w.Write(b.Bytes())
}

func respond(w http.ResponseWriter, kind, policy string) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if policy != "" {
		h.Set("Content-Security-Policy", policy)
	}
}

// view is what the page shows.
type view struct {
	Rows   []row // newest first
	Open   *Message
	Picked bool   // Open was asked for; else it is the newest
	Part   string // of Open: html, text or headers
	Parts  []string
	Header []header
}

// row is a mail in the list.
type row struct {
	Message
	At, Snippet  string
	Open, Urgent bool
}

type header struct{ Name, Value string }

func (s *Server) view(r *http.Request) (view, bool) {
	messages := s.Messages()
	v := view{Picked: r.URL.Query().Has("id")}
	switch {
	case v.Picked:
		if v.Open = s.find(r); v.Open == nil {
			return v, false
		}
	case len(messages) > 0:
		v.Open = &messages[len(messages)-1]
	}
	for _, m := range slices.Backward(messages) {
		v.Rows = append(v.Rows, row{
			Message: m, At: s.clock(m.Arrived), Snippet: snippet(m.Text),
			Open: m.ID == v.Open.ID, Urgent: strings.EqualFold(m.Headers["Importance"], "high"),
		})
	}
	if v.Open != nil {
		v.choose(r.URL.Query().Get("part"))
	}
	return v, true
}

// choose picks the part to show, of those that the mail has.
func (v *view) choose(part string) {
	if v.Open.HTML != "" {
		v.Parts = append(v.Parts, "html")
	}
	v.Parts = append(v.Parts, "text", "headers")
	v.Part = part
	if !slices.Contains(v.Parts, part) {
		v.Part = v.Parts[0]
	}
	for name, value := range v.Open.Headers {
		v.Header = append(v.Header, header{name, value})
	}
	slices.SortFunc(v.Header, func(a, b header) int { return strings.Compare(a.Name, b.Name) })
}

// Size tells how large the open mail is.
func (v view) Size() string {
	return fmt.Sprintf("%.1f kB", float64(v.Open.RawSize)/1000)
}

// At tells when the open mail arrived.
func (v view) At() string { return v.Open.Arrived.Format("2006-01-02 15:04:05 MST") }

// clock shows the time of today's mails, and the day of older ones.
func (s *Server) clock(at time.Time) string {
	if s.config.Now().Sub(at) < 20*time.Hour {
		return at.Format("15:04:05")
	}
	return at.Format("2 Jan")
}

// snippet is the beginning of a mail after its first line, which mostly
// repeats the subject.
func snippet(text string) string {
	first, rest, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if strings.TrimSpace(rest) == "" {
		rest = first
	}
	if len(rest) > 400 {
		rest = valid(rest[:400])
	}
	return strings.Join(strings.Fields(rest), " ")
}
