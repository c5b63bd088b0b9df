package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/silence"
)

var errNoSilences = notFound("silences are not served")

// listSilencesV2 answers silences as Alertmanager does: the active ones first,
// in the order in which they end.
func (h *Handler) listSilencesV2(w http.ResponseWriter, r *http.Request) error {
	if h.Silences == nil {
		return errNoSilences
	}
	filter, err := filterOf(r, "filter")
	if err != nil {
		return err
	}
	states := map[silence.State]bool{}
	for _, s := range []silence.State{silence.Active, silence.Pending, silence.Expired} {
		if states[s], err = wanted(r, string(s)); err != nil {
			return err
		}
	}
	all, err := h.Silences.Silences(r.Context())
	if err != nil {
		return fmt.Errorf("list silences: %w", err)
	}
	now := h.Now()
	sortSilences(all, now)
	list := []*models.GettableSilence{}
	for _, s := range all {
		if states[s.State(now)] && hasMatchers(s, filter) {
			list = append(list, silenceV2(s, now))
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

// sortSilences puts the active silences first, then those to come, then those
// that are over; in each the one whose change is nearest.
func sortSilences(all []silence.Silence, now time.Time) {
	order := map[silence.State]int{silence.Active: 1, silence.Pending: 2, silence.Expired: 3}
	slices.SortStableFunc(all, func(a, b silence.Silence) int {
		state := a.State(now)
		if c := cmp.Compare(order[state], order[b.State(now)]); c != 0 {
			return c
		}
		switch state {
		case silence.Active:
			return a.EndsAt.Compare(b.EndsAt)
		case silence.Pending:
			return a.StartsAt.Compare(b.StartsAt)
		case silence.Expired:
			return b.EndsAt.Compare(a.EndsAt)
		}
		return 0
	})
}

// hasMatchers tells whether a silence has every matcher of a filter itself, as
// Alertmanager filters silences.
func hasMatchers(s silence.Silence, filter labels.Matchers) bool {
	for _, f := range filter {
		if !slices.ContainsFunc(s.Matchers, func(m *labels.Matcher) bool {
			return m.Name == f.Name && m.Type == f.Type && m.Value == f.Value
		}) {
			return false
		}
	}
	return true
}

func (h *Handler) getSilenceV2(w http.ResponseWriter, r *http.Request) error {
	s, err := h.silence(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, silenceV2(s, h.Now()))
}

func (h *Handler) silence(r *http.Request) (silence.Silence, error) {
	if h.Silences == nil {
		return silence.Silence{}, errNoSilences
	}
	id := r.PathValue("id")
	s, err := h.Silences.Silence(r.Context(), id)
	return s, silenceError(id, err)
}

// postSilenceV2 makes a silence, or changes one as Alertmanager does.
func (h *Handler) postSilenceV2(w http.ResponseWriter, r *http.Request) error {
	id, err := h.saveSilence(r, parseSilenceV2)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, map[string]string{"silenceID": id})
}

// saveSilence keeps the silence in the body of a request, which parse reads.
func (h *Handler) saveSilence(r *http.Request, parse func(body []byte, by string, now time.Time) (silence.Silence, error)) (id string, err error) {
	if h.Silences == nil {
		return "", errNoSilences
	}
	tokens := h.tokens.Load()
	actor, err := tokens.actor(bearer(r), "") // before anything is read
	if err != nil {
		return "", err
	}
	body, err := readJSON(r, maxSilenceBody)
	if err != nil {
		return "", err
	}
	s, err := parse(body, actor, h.Now())
	if err != nil {
		return "", badData("%s", cut(err.Error(), maxReason))
	}
	if by, err := parseName(s.CreatedBy); err == nil { // a token without a name of its own acts for whom the silence names
		actor, _ = tokens.actor(bearer(r), by)
	}
	if id, err = h.Silences.SaveSilence(r.Context(), s, actor); err != nil {
		return "", silenceError(s.ID, err)
	}
	return id, nil
}

// deleteSilence expires a silence: it stays listed for a while.
func (h *Handler) deleteSilence(w http.ResponseWriter, r *http.Request) error {
	if _, err := h.expireSilence(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (h *Handler) expireSilence(r *http.Request) (id string, err error) {
	if h.Silences == nil {
		return "", errNoSilences
	}
	actor, err := h.tokens.Load().actor(bearer(r), "")
	if err != nil {
		return "", err
	}
	id = r.PathValue("id")
	return id, silenceError(id, h.Silences.ExpireSilence(r.Context(), id, actor))
}

func silenceError(id string, err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return notFound("there is no silence %.60q", id)
	case err != nil:
		return fmt.Errorf("silence %.60q: %w", id, err)
	}
	return nil
}

// parseSilenceV2 reads the silence that a client of Alertmanager posts.
func parseSilenceV2(body []byte, by string, now time.Time) (silence.Silence, error) {
	var p models.PostableSilence
	if err := json.Unmarshal(body, &p); err != nil {
		return silence.Silence{}, fmt.Errorf("read silence: %w", err)
	}
	if err := p.Validate(strfmt.Default); err != nil {
		return silence.Silence{}, fmt.Errorf("read silence: %w", err)
	}
	s := silence.Silence{
		ID: p.ID, StartsAt: millis(*p.StartsAt), EndsAt: millis(*p.EndsAt),
		CreatedBy: cmp.Or(*p.CreatedBy, by), Comment: *p.Comment, UpdatedAt: now, Labels: p.Annotations,
	}
	for _, m := range p.Matchers {
		if m == nil { // validation passes it
			return silence.Silence{}, errors.New("read silence: a matcher is null")
		}
		matcher, err := labels.NewMatcher(matchType(m), *m.Name, *m.Value)
		if err != nil {
			return silence.Silence{}, fmt.Errorf("read silence: matcher of %.60q: %w", *m.Name, err)
		}
		s.Matchers = append(s.Matchers, matcher)
	}
	if err := s.Validate(); err != nil {
		return silence.Silence{}, fmt.Errorf("read silence: %w", err)
	}
	if !s.EndsAt.After(now) {
		return silence.Silence{}, errors.New("read silence: its end is past")
	}
	return s, nil
}

func millis(t strfmt.DateTime) time.Time { return time.Time(t).UTC().Truncate(time.Millisecond) }

func matchType(m *models.Matcher) labels.MatchType {
	equal := m.IsEqual == nil || *m.IsEqual
	switch regex := *m.IsRegex; {
	case equal && !regex:
		return labels.MatchEqual
	case equal:
		return labels.MatchRegexp
	case !regex:
		return labels.MatchNotEqual
	}
	return labels.MatchNotRegexp
}

// silenceV2 returns a silence as Alertmanager's API writes it. One that recurs
// says so in an annotation.
func silenceV2(s silence.Silence, now time.Time) *models.GettableSilence {
	out := &models.GettableSilence{
		ID: new(s.ID), UpdatedAt: dateTime(s.UpdatedAt), Status: &models.SilenceStatus{State: new(string(s.State(now)))},
		Silence: models.Silence{
			StartsAt: dateTime(s.StartsAt), EndsAt: dateTime(s.EndsAt), CreatedBy: new(s.CreatedBy), Comment: new(s.Comment),
			Matchers: models.Matchers{}, Annotations: s.Labels,
		},
	}
	for _, m := range s.Matchers {
		out.Matchers = append(out.Matchers, &models.Matcher{
			Name: new(m.Name), Value: new(m.Value),
			IsRegex: new(m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp),
			IsEqual: new(m.Type == labels.MatchRegexp || m.Type == labels.MatchEqual),
		})
	}
	if r := s.Recurrence; r != nil {
		out.Annotations = models.LabelSet{}
		maps.Copy(out.Annotations, s.Labels)
		out.Annotations["midwatch_recurrence"] = fmt.Sprintf("%s for %s %s", r.Cron, r.Duration, cmp.Or(r.Timezone, "UTC"))
	}
	return out
}
