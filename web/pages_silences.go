package web

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// silencesView is the content of the page of silences.
type silencesView struct {
	Groups []silenceGroup
	Form   form
	Draft  silenceDraft
	Blind  string // why the silences cannot be read; "" when they can
}

// silenceGroup are the silences of one state.
type silenceGroup struct {
	State string
	Rows  []silenceRow
	More  int
}

type silenceRow struct {
	ID        string
	Matchers  []string
	Comment   string
	By        string
	Starts    stamp
	Ends      stamp
	Silencing bool
	Until     stamp // until when it silences
	Next      stamp // when it will
	Recurs    string
	Over      bool
}

// silenceDraft is a silence as its form holds it.
type silenceDraft struct {
	Matchers string // one a line
	Starts   string // local time without a zone; "" is now
	For      string // a length of time
	Comment  string
	Cron     string
	Span     string // of each recurrence
	Timezone string
	Incident int64 // that it is made from; 0 for none
}

// maxSilences bounds what the page shows of one state.
const maxSilences = 100

// silencesPage shows the silences, makes one, or ends one.
func (h *Handler) silencesPage(w http.ResponseWriter, r *http.Request) error {
	if h.Silences == nil {
		return errNoSilences
	}
	if r.Method != http.MethodPost {
		draft, err := h.newDraft(r)
		if err != nil {
			return err
		}
		return h.showSilences(w, r, http.StatusOK, form{}, draft)
	}
	f, actor, err := h.signed(r)
	if err == nil {
		err = h.silenceForm(r, actor)
	}
	return h.acted(w, r, "/silences", f, err, func(status int, f form) error {
		return h.showSilences(w, r, status, f, draftOf(r.PostForm))
	})
}

// newDraft returns an empty draft, or one that silences an incident's alerts:
// by what their labels have in common.
func (h *Handler) newDraft(r *http.Request) (silenceDraft, error) {
	d := silenceDraft{For: "2h", Timezone: h.Location.String()}
	if d.Timezone == "Local" {
		d.Timezone = "UTC"
	}
	text := r.URL.Query().Get("incident")
	if text == "" {
		return d, nil
	}
	id, err := parseID(text)
	if err != nil {
		return d, err
	}
	s, err := h.Incidents.Story(r.Context(), id)
	if err != nil {
		return d, incidentError(id, err)
	}
	d.Incident = id
	d.Matchers = strings.Join(silence.Texts(silence.Exact(common(s.Incident.Alerts))), "\n")
	d.Comment = fmt.Sprintf("incident %d: %s", id, cut(s.Incident.Title, 200))
	return d, nil
}

// common returns the labels that all alerts have, with the same values, but
// the severity: an alert that rises is still silenced.
func common(alerts []alert.Alert) model.LabelSet {
	if len(alerts) == 0 {
		return nil
	}
	set := alerts[0].Labels.Clone()
	delete(set, alert.LabelSeverity)
	delete(set, alert.LabelTier)
	for _, a := range alerts[1:] {
		for name, value := range set {
			if a.Labels[name] != value {
				delete(set, name)
			}
		}
	}
	return set
}

func draftOf(f url.Values) silenceDraft {
	return silenceDraft{
		Matchers: cut(f.Get("matchers"), maxText), Starts: f.Get("starts"), For: f.Get("for"), Comment: cut(f.Get("comment"), maxText),
		Cron: f.Get("cron"), Span: f.Get("span"), Timezone: f.Get("timezone"),
	}
}

// silenceForm ends a silence or makes one.
func (h *Handler) silenceForm(r *http.Request, actor string) error {
	if id := r.PostForm.Get("expire"); id != "" {
		return silenceError(id, h.Silences.ExpireSilence(r.Context(), id, actor))
	}
	s, err := h.silenceOf(r.PostForm, actor)
	if err != nil {
		return err
	}
	_, err = h.Silences.SaveSilence(r.Context(), s, actor)
	return silenceError("", err)
}

func (h *Handler) silenceOf(f url.Values, actor string) (s silence.Silence, err error) {
	now := h.Now()
	var lines []string
	for line := range strings.Lines(f.Get("matchers")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	s = silence.Silence{CreatedBy: actor, Comment: strings.TrimSpace(f.Get("comment")), UpdatedAt: now}
	if s.Matchers, err = silence.ParseMatchers(lines); err != nil {
		return s, badData("%v", err)
	}
	if s.StartsAt, err = h.localTime("its start", f, "starts", now); err != nil {
		return s, err
	}
	length, err := lengthOf("how long it lasts", f.Get("for"))
	if err != nil {
		return s, err
	}
	s.EndsAt = s.StartsAt.Add(length)
	if c := strings.TrimSpace(f.Get("cron")); c != "" {
		span, err := lengthOf("how long each time takes", f.Get("span"))
		if err != nil {
			return s, err
		}
		s.Recurrence = &silence.Recurrence{Cron: c, Duration: span, Timezone: strings.TrimSpace(f.Get("timezone"))}
	}
	err = s.Validate()
	if err == nil && !s.EndsAt.After(now) {
		err = errors.New("its end is past")
	}
	if err != nil {
		return s, badData("%s", cut(err.Error(), maxReason))
	}
	return s, nil
}

// localTime reads a date and time from a field of a form, in the zone that
// the form names, else in that which pages show. A field that is empty is
// missing.
func (h *Handler) localTime(what string, f url.Values, field string, missing time.Time) (time.Time, error) {
	text, zone := f.Get(field), h.Location
	if text == "" {
		return missing.UTC().Truncate(time.Millisecond), nil
	}
	if name := f.Get("zone"); name != "" && name != "Local" && len(name) <= 64 {
		loc, err := time.LoadLocation(name)
		if err != nil {
			return time.Time{}, badData("there is no time zone %q", name)
		}
		zone = loc
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04"} {
		if at, err := time.ParseInLocation(layout, text, zone); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, badData("%s must be a date and time such as 2026-11-21 22:00, not %q", what, cut(text, 40))
}

func lengthOf(what, text string) (time.Duration, error) {
	d, err := model.ParseDuration(strings.TrimSpace(text))
	if err != nil || d == 0 {
		return 0, badData("%s must be a length of time such as 2h or 3d, not %q", what, cut(text, 40))
	}
	return time.Duration(d), nil
}

func (h *Handler) showSilences(w http.ResponseWriter, r *http.Request, status int, f form, draft silenceDraft) error {
	v := silencesView{Form: h.signIn(f), Draft: draft}
	all, err := h.allSilences(r)
	if err != nil {
		v.Blind = h.explain(r, err).text
	}
	v.Groups = h.silenceGroups(all)
	return h.show(w, status, "silences", frame{Title: "Silences", Content: v})
}

func (h *Handler) silenceGroups(all []wire.Silence) (groups []silenceGroup) {
	for _, state := range []silence.State{silence.Active, silence.Pending, silence.Expired} {
		g := silenceGroup{State: string(state)}
		for _, s := range all {
			switch {
			case s.State != state:
			case len(g.Rows) == maxSilences:
				g.More++
			default:
				g.Rows = append(g.Rows, h.silenceRow(s))
			}
		}
		groups = append(groups, g)
	}
	return groups
}

func (h *Handler) silenceRow(s wire.Silence) silenceRow {
	now := h.Now()
	row := silenceRow{
		ID: s.ID, Matchers: silence.Texts(s.Matchers), Comment: s.Comment, By: s.CreatedBy,
		Starts: h.stamp(s.StartsAt, now), Ends: h.stamp(s.EndsAt, now),
		Silencing: s.Silencing, Until: h.stamp(s.Until, now), Next: h.stamp(s.Next, now), Over: s.State == silence.Expired,
	}
	if rec := s.Recurrence; rec != nil {
		row.Recurs = fmt.Sprintf("%s for %s, %s", rec.Cron, model.Duration(rec.Duration), cmp.Or(rec.Timezone, "UTC"))
	}
	return row
}
