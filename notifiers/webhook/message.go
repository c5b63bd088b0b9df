package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// Message is the body of a call: Alertmanager's, version 4, and Midwatch.
type Message struct {
	Version           string         `json:"version"` // 4
	GroupKey          string         `json:"groupKey"`
	TruncatedAlerts   int            `json:"truncatedAlerts"`
	Status            string         `json:"status"` // firing or resolved
	Receiver          string         `json:"receiver"`
	GroupLabels       model.LabelSet `json:"groupLabels"`
	CommonLabels      model.LabelSet `json:"commonLabels"`
	CommonAnnotations model.LabelSet `json:"commonAnnotations"`
	ExternalURL       string         `json:"externalURL"`
	Alerts            []Alert        `json:"alerts"`
	Midwatch          Midwatch       `json:"midwatch"`
}

// Alert is one alert of an incident.
type Alert struct {
	Status       string         `json:"status"` // firing or resolved
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations"`
	StartsAt     time.Time      `json:"startsAt"`
	EndsAt       time.Time      `json:"endsAt"` // the year 1 while it fires
	GeneratorURL string         `json:"generatorURL"`
	Fingerprint  string         `json:"fingerprint"`
}

// Midwatch is what Alertmanager has no member for.
type Midwatch struct {
	Kind     page.Kind       `json:"kind"`
	Key      string          `json:"key"` // of the page: the same for every try
	At       time.Time       `json:"at"`  // when the page was caused
	Round    int             `json:"round"`
	Attempt  int             `json:"attempt"`
	To       page.Contact    `json:"to"`
	Lead     string          `json:"lead"` // level, service and symptom in about 40 characters
	Text     string          `json:"text"` // the whole page in lines, in the reader's language
	Incident Incident        `json:"incident"`
	SLO      page.SLO        `json:"slo"`
	Evidence []page.Evidence `json:"evidence"`
	Story    []alert.Event   `json:"story"`
	Link     string          `json:"link,omitempty"`     // to the incident's page
	AckLink  string          `json:"ack_link,omitempty"` // to acknowledge it without a token
}

// Incident is the incident that the alerts are of; of a report its ID is 0.
type Incident struct {
	ID           int64        `json:"id"`
	Key          string       `json:"key"`
	Service      string       `json:"service"`
	SLO          string       `json:"slo"`
	Title        string       `json:"title"`
	Level        alert.Level  `json:"level"`
	Status       alert.Status `json:"status"`
	Stale        bool         `json:"stale"`
	Drill        bool         `json:"drill"`
	Clusters     []string     `json:"clusters"`
	Since        time.Time    `json:"since"`
	OpenedAt     time.Time    `json:"opened_at"`
	AckedAt      time.Time    `json:"acked_at,omitzero"`
	AckedBy      string       `json:"acked_by,omitempty"`
	ResolvedAt   time.Time    `json:"resolved_at,omitzero"`
	ResolvedBy   string       `json:"resolved_by,omitempty"`
	SnoozedUntil time.Time    `json:"snoozed_until,omitzero"`
	Policy       string       `json:"policy,omitempty"`
	MergedInto   int64        `json:"merged_into,omitempty"`
}

// The two values of Message.Status and Alert.Status.
const (
	firing   = "firing"
	resolved = "resolved"
)

func (n *Notifier) message(p page.Page) Message {
	over := isOver(p)
	alerts, left := n.cut(p.Incident)
	m := Message{
		Version: "4", GroupKey: groupKey(p), TruncatedAlerts: left, Status: firing, Receiver: n.config.Name,
		GroupLabels: model.LabelSet{}, CommonLabels: model.LabelSet{}, CommonAnnotations: model.LabelSet{},
		ExternalURL: externalURL(p.Link), Alerts: make([]Alert, 0, len(alerts)), Midwatch: extension(p),
	}
	if over {
		m.Status = resolved
	}
	for _, a := range alerts {
		m.Alerts = append(m.Alerts, describe(a, p, over))
	}
	if len(m.Alerts) > 0 {
		m.CommonLabels = common(m.Alerts, func(a Alert) model.LabelSet { return a.Labels })
		m.CommonAnnotations = common(m.Alerts, func(a Alert) model.LabelSet { return a.Annotations })
		m.GroupLabels = groupLabels(m.CommonLabels)
	}
	return m
}

// isOver tells whether nothing of the page fires: a receiver opens nothing for
// it. A report is so too.
func isOver(p page.Page) bool {
	return p.Kind == page.Resolved || p.Kind == page.Report || p.Incident.Status == alert.Closed
}

// cut returns the alerts that are sent, and how many are not.
func (n *Notifier) cut(inc alert.Incident) (alerts []alert.Alert, left int) {
	alerts = inc.Alerts
	if most := n.config.MaxAlerts; most > 0 && len(alerts) > most {
		alerts = slices.Clone(alerts)
		slices.SortStableFunc(alerts, func(a, b alert.Alert) int { return rank(a) - rank(b) })
		alerts = alerts[:most]
	}
	return alerts, max(inc.AlertCount, len(inc.Alerts)) - len(alerts)
}

func rank(a alert.Alert) int {
	if a.State == alert.Resolved {
		return 1
	}
	return 0
}

// describe returns an alert as Alertmanager would. One that expired fires
// still: silence is not recovery. All are over when their incident is.
func describe(a alert.Alert, p page.Page, over bool) Alert {
	d := Alert{
		Status: firing, Labels: orEmpty(a.Labels), Annotations: orEmpty(a.Annotations),
		StartsAt: a.StartsAt, GeneratorURL: a.GeneratorURL, Fingerprint: a.Fingerprint().String(),
	}
	switch {
	case a.State == alert.Resolved:
		d.Status, d.EndsAt = resolved, a.EndsAt
	case over:
		d.Status, d.EndsAt = resolved, p.Incident.ResolvedAt
		if d.EndsAt.IsZero() {
			d.EndsAt = p.At
		}
	}
	if p.Incident.Drill {
		d.Annotations = d.Annotations.Clone()
		d.Annotations["drill"], d.Annotations["summary"] = "true", model.LabelValue(p.Subject())
	}
	return d
}

func orEmpty(s model.LabelSet) model.LabelSet {
	if s == nil {
		return model.LabelSet{}
	}
	return s
}

// common returns the pairs that all alerts have, of one or more.
func common(alerts []Alert, of func(Alert) model.LabelSet) model.LabelSet {
	shared := of(alerts[0]).Clone()
	for _, a := range alerts[1:] {
		maps.DeleteFunc(shared, func(name model.LabelName, value model.LabelValue) bool {
			v, ok := of(a)[name]
			return !ok || v != value
		})
	}
	return shared
}

// groupLabels returns the labels that tell incidents apart unless a route says
// otherwise: service and SLO, or service and the alert's name.
func groupLabels(common model.LabelSet) model.LabelSet {
	names := []model.LabelName{alert.LabelService, alert.LabelSLO}
	if common[alert.LabelSLO] == "" {
		names[1] = model.AlertNameLabel
	}
	labels := model.LabelSet{}
	for _, name := range names {
		if v, ok := common[name]; ok {
			labels[name] = v
		}
	}
	return labels
}

// groupKey identifies the incident's alerts for whoever wants to tell groups
// apart: the same when what was over fires again, as Alertmanager's is.
func groupKey(p page.Page) string {
	switch {
	case p.Kind == page.Report:
		return "report:" + p.Key
	case p.Incident.Key == "":
		return fmt.Sprintf("incident:%d", p.Incident.ID)
	}
	return p.Incident.Key
}

// externalURL returns where Midwatch itself is, by the link to an incident.
func externalURL(link string) string {
	if i := strings.LastIndex(link, "/incidents/"); i >= 0 {
		return link[:i]
	}
	return ""
}

func extension(p page.Page) Midwatch {
	m := Midwatch{
		Kind: p.Kind, Key: p.Key, At: p.At, Round: p.Round, Attempt: p.Attempt, To: p.To,
		Lead: p.Subject(), Text: p.Text(0), Incident: incident(p.Incident),
		SLO: p.SLO, Evidence: p.Evidence, Story: p.Story, Link: p.Link, AckLink: p.AckLink,
	}
	if m.Evidence == nil {
		m.Evidence = []page.Evidence{}
	}
	if m.Story == nil {
		m.Story = []alert.Event{}
	}
	return m
}

func incident(inc alert.Incident) Incident {
	clusters := inc.Clusters()
	if clusters == nil {
		clusters = []string{}
	}
	return Incident{
		ID: inc.ID, Key: inc.Key, Service: inc.Service, SLO: inc.SLO, Title: inc.Title, Level: inc.Level,
		Status: inc.Status, Stale: inc.Stale, Drill: inc.Drill, Clusters: clusters,
		Since: inc.Since, OpenedAt: inc.OpenedAt, AckedAt: inc.AckedAt, AckedBy: inc.AckedBy,
		ResolvedAt: inc.ResolvedAt, ResolvedBy: inc.ResolvedBy, SnoozedUntil: inc.SnoozedUntil,
		Policy: inc.Policy, MergedInto: inc.MergedInto,
	}
}

func encode(m Message) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(m)
	return b.Bytes(), err
}
