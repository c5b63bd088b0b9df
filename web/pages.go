package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

//go:embed templates
var pageFiles embed.FS

// Bounds of what a page shows; the rest is counted.
const (
	maxIncidents = 200
	maxSLOs      = 300
	maxEvents    = 200
	maxAlerts    = 50
	maxPatterns  = 5
	maxText      = 2 << 10 // bytes of one text from outside
)

func parsePages(as assets) (*template.Template, error) {
	t := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"asset":  as.url,
		"levels": func() []string { return []string{alert.P1.String(), alert.P2.String(), alert.P3.String()} },
		"cut":    func(s string) string { return cut(s, maxText) },
		"short":  func(s string) string { return cut(s, 120) },
	})
	t, err := t.ParseFS(pageFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parse pages: %w", err)
	}
	return t, nil
}

// frame is what every page has around its content.
type frame struct {
	Title     string
	Alarm     bool // an open P1: the tab's icon says so
	Refresh   int  // seconds, for a browser without scripts; 0 is never
	Version   string
	SourceURL string
	Zone      string // of the times on the page
	Now       stamp
	Content   any
}

// show renders a page in whole before it answers.
func (h *Handler) show(w http.ResponseWriter, status int, name string, f frame) error {
	now := h.Now()
	f.Version, f.SourceURL = h.Version, h.SourceURL
	f.Now = h.stamp(now, now)
	f.Zone = now.In(h.Location).Format("MST")
	var b bytes.Buffer
	if err := h.pages.ExecuteTemplate(&b, name, f); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	write(w, status, "text/html; charset=utf-8", b.Bytes())
	return nil
}

func (h *Handler) stamp(t, now time.Time) stamp { return newStamp(t, now, h.Location) }

func (h *Handler) unknownPage(_ http.ResponseWriter, _ *http.Request) error {
	return notFound("There is no such page.")
}

// failPage answers an error with a page.
func (h *Handler) failPage(w http.ResponseWriter, r *http.Request, p problem) {
	p.head(w)
	f := frame{Title: http.StatusText(p.status), Content: p.text}
	if err := h.show(w, p.status, "failure", f); err != nil {
		h.logged(r.Context(), "render error page", err)
		writeText(w, p.status, p.text)
	}
}
