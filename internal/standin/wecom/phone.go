package wecom

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
	"regexp"
	"slices"
)

//go:embed phone.html
var phoneHTML string

// bubble is a message as the page shows it.
type bubble struct {
	Message
	Parts []part
}

// part is a piece of a text, or a link in it.
type part struct{ Text, URL string }

var webLink = regexp.MustCompile(`https?://[^\s<>"]+`)

func split(text string) (parts []part) {
	at := 0
	for _, m := range webLink.FindAllStringIndex(text, -1) {
		if m[0] > at {
			parts = append(parts, part{Text: text[at:m[0]]})
		}
		parts = append(parts, part{Text: text[m[0]:m[1]], URL: text[m[0]:m[1]]})
		at = m[1]
	}
	return append(parts, part{Text: text[at:]})
}

func (s *Server) phone(w http.ResponseWriter, _ *http.Request) {
	messages := s.Messages()
	slices.Reverse(messages)
	bubbles := make([]bubble, len(messages))
	for i, m := range messages {
		bubbles[i] = bubble{m, split(m.Text)}
	}
	view, err := template.New("phone").Parse(phoneHTML)
	var page bytes.Buffer
	if err == nil {
		err = view.Execute(&page, map[string]any{"Bubbles": bubbles, "Counts": s.Counts()})
	}
	if err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'")
	_, _ = w.Write(page.Bytes())
}
