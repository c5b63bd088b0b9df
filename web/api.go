package web

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// maxName is how long the name of who acts may be, in bytes.
const maxName = 100

func (h *Handler) unknownAPI(_ http.ResponseWriter, r *http.Request) error {
	return notFound("nothing is served at %s: see /api/v1/ and /api/v2/", r.URL.Path)
}

// ours tells whether a path is below one of Midwatch's own: whoever answers as
// Prometheus must not see it, misspelt as it is.
func ours(path string) bool {
	for _, own := range []string{"incidents", "ingest", "silences", "overrides", "drills"} {
		if strings.HasPrefix(path, "/api/v1/"+own+"/") {
			return true
		}
	}
	return false
}

func (h *Handler) listIncidents(w http.ResponseWriter, r *http.Request) error {
	all, err := flag(r, "all")
	if err != nil {
		return err
	}
	incidents, err := h.Incidents.List(r.Context(), all)
	if err != nil {
		return fmt.Errorf("list incidents: %w", err)
	}
	return writeData(w, filled(incidents))
}

func (h *Handler) getIncident(w http.ResponseWriter, r *http.Request) error {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	s, err := h.Incidents.Story(r.Context(), id)
	if err != nil {
		return incidentError(id, err)
	}
	return writeData(w, wire.Story{
		Incident: s.Incident,
		Events:   filled(s.Events),
		Evidence: filled[page.Evidence](s.Evidence),
		SLO:      s.SLO,
	})
}

// incidentError says which incident an error is about.
func incidentError(id int64, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return notFound("there is no incident %d", id)
	case errors.Is(err, ErrConflict):
		return problem{status: http.StatusConflict, kind: wire.Conflict, text: fmt.Sprintf("incident %d is already resolved", id)}
	}
	return fmt.Errorf("incident %d: %w", id, err)
}

// parseID reads an incident's id: a positive number, written the one way.
func parseID(s string) (int64, error) {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id <= 0 || strconv.FormatInt(id, 10) != s {
		return 0, notFound("there is no incident %q: ids are whole numbers from 1", cut(s, 40))
	}
	return id, nil
}

// parseName reads the name of who acts: one line that can be printed.
func parseName(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxName:
		return "", badData("the name of who acts is longer than %d bytes", maxName)
	case !utf8.ValidString(s), strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return "", badData("the name of who acts has characters that cannot be printed")
	}
	return s, nil
}

// flag reads a query parameter that is true or false, false when it is
// missing.
func flag(r *http.Request, name string) (bool, error) {
	value := r.URL.Query().Get(name)
	if value == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		return false, badData("%s must be true or false, not %q", name, cut(value, 40))
	}
	return b, nil
}

// filled returns s, or an empty slice for nil: JSON has [] for none.
func filled[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}
