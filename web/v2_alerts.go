package web

import (
	"cmp"
	"fmt"
	"net/http"
	"regexp"
	"slices"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// alertQuery is what a request wants to see of the alerts.
type alertQuery struct {
	filter           labels.Matchers
	receiver         *regexp.Regexp  // nil: every one
	receiverMatchers labels.Matchers // of receivers' labels: policies have none

	active, silenced, inhibited, muted bool
}

func parseAlertQuery(r *http.Request) (q alertQuery, err error) {
	if q.filter, err = filterOf(r, "filter"); err != nil {
		return q, err
	}
	if q.receiverMatchers, err = filterOf(r, "receiver_matchers"); err != nil {
		return q, err
	}
	if q.receiver, err = receiverOf(r); err != nil {
		return q, err
	}
	var unprocessed bool // every alert that is kept is processed
	for name, into := range map[string]*bool{
		"active": &q.active, "silenced": &q.silenced, "inhibited": &q.inhibited, "muted": &q.muted, "unprocessed": &unprocessed,
	} {
		if *into, err = wanted(r, name); err != nil {
			return q, err
		}
	}
	return q, nil
}

func (q alertQuery) wants(a AlertStatus) bool {
	switch {
	case !q.active && !a.suppressed():
		return false
	case !q.silenced && len(a.SilencedBy) > 0:
		return false
	case !q.inhibited && len(a.InhibitedBy) > 0:
		return false
	case q.receiver != nil && !q.receiver.MatchString(a.Policy):
		return false
	}
	return q.receiverMatchers.Matches(nil) && q.filter.Matches(a.Labels)
}

func (a AlertStatus) suppressed() bool {
	return len(a.SilencedBy)+len(a.InhibitedBy)+len(a.MutedBy) > 0
}

// wantedAlerts returns the alerts that a request wants, by fingerprint.
func (h *Handler) wantedAlerts(r *http.Request) ([]AlertStatus, alertQuery, error) {
	if h.Alerts == nil {
		return nil, alertQuery{}, notFound("alerts are not served")
	}
	q, err := parseAlertQuery(r)
	if err != nil {
		return nil, q, err
	}
	all, err := h.Alerts.Alerts(r.Context())
	if err != nil {
		return nil, q, fmt.Errorf("list alerts: %w", err)
	}
	var found []AlertStatus
	for _, a := range all {
		if q.wants(a) {
			found = append(found, a)
		}
	}
	slices.SortStableFunc(found, func(a, b AlertStatus) int { return cmp.Compare(a.Fingerprint(), b.Fingerprint()) })
	return found, q, nil
}

// listAlerts answers the alerts that fire or have expired, as Alertmanager
// lists alerts.
func (h *Handler) listAlerts(w http.ResponseWriter, r *http.Request) error {
	found, _, err := h.wantedAlerts(r)
	if err != nil {
		return err
	}
	list := make([]*models.GettableAlert, 0, len(found))
	for _, a := range found {
		list = append(list, a.v2())
	}
	return writeJSON(w, http.StatusOK, list)
}

// listGroups answers the alerts by incident, as Alertmanager answers groups.
func (h *Handler) listGroups(w http.ResponseWriter, r *http.Request) error {
	found, q, err := h.wantedAlerts(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, groupsV2(found, q.muted))
}

// groupsV2 groups alerts by incident and policy. Without muted, groups whose
// alerts are all suppressed are left out.
func groupsV2(alerts []AlertStatus, muted bool) models.AlertGroups {
	type key struct {
		incident       int64
		labels, policy string
	}
	groups := map[key]*models.AlertGroup{}
	loud := map[key]bool{}
	var order []key
	for _, a := range alerts {
		group := a.group()
		k := key{a.IncidentID, group.String(), a.Policy}
		if groups[k] == nil {
			order = append(order, k)
			groups[k] = &models.AlertGroup{
				Labels: labelsV2(group), RouteLabels: models.LabelSet{}, Receiver: &models.ReceiverReference{Name: new(a.Policy)},
			}
		}
		groups[k].Alerts = append(groups[k].Alerts, a.v2())
		loud[k] = loud[k] || !a.suppressed()
	}
	slices.SortFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.labels, b.labels), cmp.Compare(a.policy, b.policy), cmp.Compare(a.incident, b.incident))
	})
	list := models.AlertGroups{}
	for _, k := range order {
		if muted || loud[k] {
			list = append(list, groups[k])
		}
	}
	return list
}

// group returns what the alerts of its incident have in common.
func (a AlertStatus) group() model.LabelSet {
	if a.Group != nil {
		return a.Group
	}
	names := []model.LabelName{alert.LabelService, alert.LabelSLO}
	if a.Label(alert.LabelSLO) == "" {
		names = []model.LabelName{alert.LabelService, model.AlertNameLabel}
	}
	set := model.LabelSet{}
	for _, n := range names {
		if v, ok := a.Labels[n]; ok {
			set[n] = v
		}
	}
	return set
}

// v2 returns the alert as Alertmanager's API writes it.
func (a AlertStatus) v2() *models.GettableAlert {
	state := models.AlertStatusStateActive
	if a.suppressed() {
		state = models.AlertStatusStateSuppressed
	}
	return &models.GettableAlert{
		Alert:       models.Alert{GeneratorURL: strfmt.URI(a.GeneratorURL), Labels: labelsV2(a.Labels)},
		Annotations: labelsV2(a.Annotations),
		StartsAt:    dateTime(a.StartsAt), EndsAt: dateTime(a.EndsAt), UpdatedAt: dateTime(a.UpdatedAt),
		Fingerprint: new(a.Fingerprint().String()),
		Receivers:   []*models.ReceiverReference{{Name: new(a.Policy)}},
		Status: &models.AlertStatus{
			State: new(state), SilencedBy: filled(a.SilencedBy), InhibitedBy: filled(a.InhibitedBy), MutedBy: filled(a.MutedBy),
		},
	}
}
