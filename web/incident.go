package web

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// incidentView is the content of an incident's page.
type incidentView struct {
	incidentRow
	Key         string
	Opened      stamp
	Acked       stamp
	AckedBy     string
	Resolved    stamp
	ResolvedBy  string
	Description string
	Objective   string
	Window      string
	Runbook     string
	Links       []page.SLOLink
	Answers     string
	Standings   []standingRow
	Evidence    []evidenceRow
	Events      []eventRow
	EventsMore  int
	Alerts      []alertRow
	AlertsMore  int
	Form        form

	Muted      string // why nobody is paged; "" when somebody is
	Snoozed    stamp  // until when nobody is; zero when it is not snoozed
	Policy     string
	Assigned   string
	Responders string
	Reopened   int
	MergedInto int64
	NextPage   stamp
	AlertCount int

	Desk       bool // there is more to do than to acknowledge and resolve
	Users      []wire.User
	Others     []incidentRow // that it can be merged into
	CanSilence bool
}

type standingRow struct {
	clusterRow
	Hit        bool // one of the incident's clusters
	ErrorRatio string
	Burn       string
	BurnTone   tone
	Empty      string // when the budget is spent at this rate; "" when not soon
}

type evidenceRow struct {
	Source   string
	Problem  string
	Link     string
	Window   string
	Patterns []patternRow
}

type patternRow struct {
	page.LogPattern
	Counted string
	Change  string // against before: new, ×38, …
	Earlier string
	Grew    bool
}

type eventRow struct {
	At    stamp
	Kind  string
	Tone  tone
	Text  string
	Actor string
}

type alertRow struct {
	Name        string
	State       string
	Labels      []labelRow
	Annotations []labelRow
	Since       stamp
	Ends        stamp
	Link        string
}

type labelRow struct{ Name, Value string }

// incident shows one incident, or acts on it for a form of its page.
func (h *Handler) incident(w http.ResponseWriter, r *http.Request) error {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		return h.actPage(w, r, id)
	}
	return h.showIncident(w, r, id, http.StatusOK, form{})
}

func (h *Handler) showIncident(w http.ResponseWriter, r *http.Request, id int64, status int, f form) error {
	s, err := h.Incidents.Story(r.Context(), id)
	if err != nil {
		return incidentError(id, err)
	}
	v := h.incidentView(s)
	v.Form = h.signIn(f)
	if h.Desk != nil && !v.Done {
		v.Desk = true
		v.Others = h.mergeable(r, s.Incident)
	}
	if h.Rotas != nil {
		v.Users = h.Rotas.Users()
	}
	v.CanSilence = h.Silences != nil && !v.Done
	fr := frame{Title: fmt.Sprintf("%s %s", v.Level, v.Title), Content: v}
	fr.Alarm = s.Incident.Level == alert.P1 && !v.Done && !v.Drill
	return h.show(w, status, "incident", fr)
}

func (h *Handler) incidentView(s Story) incidentView {
	now, i := h.Now(), s.Incident
	v := incidentView{
		incidentRow: h.incidentRow(i, now), Key: i.Key,
		Opened: h.stamp(i.OpenedAt, now), Acked: h.stamp(i.AckedAt, now), AckedBy: i.AckedBy,
		Resolved: h.stamp(i.ResolvedAt, now), ResolvedBy: i.ResolvedBy,
		Description: s.SLO.Description, Objective: s.SLO.Objective, Window: s.SLO.Window, Runbook: link(s.SLO.Runbook),
		Links: links(s.SLO.Links), Answers: s.SLO.Answers,
		Standings: standingRows(s.SLO, i.Clusters()),
	}
	for _, e := range s.Evidence {
		v.Evidence = append(v.Evidence, newEvidenceRow(e))
	}
	events := s.Events
	if extra := len(events) - maxEvents; extra > 0 {
		events, v.EventsMore = events[extra:], extra
	}
	for _, e := range events {
		v.Events = append(v.Events, eventRow{At: h.stamp(e.At, now), Kind: string(e.Kind), Tone: eventTone(e.Kind), Text: e.Text, Actor: e.Actor})
	}
	v.Alerts, v.AlertsMore = h.alertRows(i.Alerts, now)
	v.AlertCount = max(i.AlertCount, len(i.Alerts))
	v.AlertsMore = v.AlertCount - len(v.Alerts)
	v.Policy, v.Assigned, v.Responders = i.Policy, strings.Join(i.Assigned, ", "), strings.Join(i.Responders, ", ")
	v.Reopened, v.MergedInto = i.Reopened, i.MergedInto
	if !v.Done {
		v.Muted = i.Muted
		v.NextPage = h.stamp(i.NextPageAt, now)
		if i.SnoozedUntil.After(now) {
			v.Snoozed = h.stamp(i.SnoozedUntil, now)
		}
	}
	return v
}

// standingRows has the incident's own clusters first. One of them that
// nothing is known of is there with unknown figures.
func standingRows(s page.SLO, hit []string) []standingRow {
	standings := slices.Clone(s.Standings)
	if s.Objective != "" {
		for _, c := range hit {
			if !slices.ContainsFunc(standings, func(st page.Standing) bool { return st.Cluster == c }) {
				nan := math.NaN()
				standings = append(standings, page.Standing{Cluster: c, ErrorRatio: nan, BurnRate: nan, BudgetLeft: nan})
			}
		}
	}
	var rows []standingRow
	for _, st := range standings {
		rows = append(rows, standingRow{
			clusterRow: newClusterRow(st.Cluster, st.BudgetLeft),
			Hit:        slices.Contains(hit, st.Cluster),
			ErrorRatio: errorRatio(st.ErrorRatio),
			Burn:       burnRate(st.BurnRate),
			BurnTone:   burnTone(st.BurnRate),
			Empty:      emptyIn(st, s.Window),
		})
	}
	slices.SortStableFunc(rows, func(a, b standingRow) int {
		return cmp.Or(-compareBool(a.Hit, b.Hit), cmp.Compare(a.Cluster, b.Cluster))
	})
	return rows
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// emptyIn says after how long the budget is spent when errors go on at the
// rate of now: what is left, over the burn rate, of the window. Beyond a week
// it says nothing.
func emptyIn(st page.Standing, window string) string {
	w, err := model.ParseDuration(window)
	if err != nil || !known(st.BudgetLeft) || !known(st.BurnRate) || st.BudgetLeft <= 0 || st.BurnRate <= 1 {
		return ""
	}
	left := st.BudgetLeft / st.BurnRate * float64(w)
	if left > float64(7*24*time.Hour) {
		return ""
	}
	return lasting(time.Duration(left))
}

func newEvidenceRow(e page.Evidence) evidenceRow {
	row := evidenceRow{Source: e.Source, Problem: e.Problem, Link: link(e.Link)}
	if e.Window > 0 {
		row.Window = lasting(e.Window)
	}
	for _, p := range e.Patterns[:min(len(e.Patterns), maxPatterns)] {
		row.Patterns = append(row.Patterns, newPatternRow(p))
	}
	return row
}

func newPatternRow(p page.LogPattern) patternRow {
	row := patternRow{LogPattern: p, Counted: count(p.Count), Earlier: count(p.Before), Grew: p.Count > 2*p.Before}
	if p.AtLeast {
		row.Counted = "≥ " + row.Counted
	}
	switch ratio := float64(p.Count) / float64(max(p.Before, 1)); {
	case p.Before <= 0:
		row.Change = "new"
	case ratio >= 10:
		row.Change = fmt.Sprintf("×%.0f", ratio)
	default:
		row.Change = fmt.Sprintf("×%.1f", ratio)
	}
	return row
}

func eventTone(k alert.EventKind) tone {
	switch k {
	case alert.EventOpened, alert.EventRaised, alert.EventReopened:
		return bad
	case alert.EventPageFailed, alert.EventStale:
		return low
	case alert.EventPaged, alert.EventAcknowledged, alert.EventResolved, alert.EventEscalated, alert.EventNote:
		return calm
	default:
		return mute
	}
}

func (h *Handler) alertRows(alerts []alert.Alert, now time.Time) (rows []alertRow, more int) {
	if len(alerts) > maxAlerts {
		alerts, more = alerts[:maxAlerts], len(alerts)-maxAlerts
	}
	for _, a := range alerts {
		row := alertRow{
			Name: a.Label(model.AlertNameLabel), State: string(a.State), Link: link(a.GeneratorURL),
			Labels: labelRows(a.Labels), Annotations: labelRows(a.Annotations), Since: h.stamp(a.StartsAt, now),
		}
		if a.State != alert.Firing {
			row.Ends = h.stamp(a.EndsAt, now)
		}
		rows = append(rows, row)
	}
	return rows, more
}

func labelRows(set model.LabelSet) (rows []labelRow) {
	for name, value := range set {
		if name != model.AlertNameLabel {
			rows = append(rows, labelRow{string(name), string(value)})
		}
	}
	slices.SortFunc(rows, func(a, b labelRow) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}
