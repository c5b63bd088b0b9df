package ingest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Headers of Sentry's webhooks,
// https://docs.sentry.io/organization/integrations/integration-platform/webhooks/.
const (
	SentryResource  = "Sentry-Hook-Resource"
	SentrySignature = "Sentry-Hook-Signature"
)

// Names of Sentry's alerts.
const (
	SentryIssueAlert  = "SentryIssue"  // an issue that an alert rule of Sentry names
	SentryMetricAlert = "SentryMetric" // a metric of Sentry's that is beyond a threshold
)

// SentrySigned tells whether a body carries its signature: the HMAC-SHA256 of
// it under the client secret of the integration, in hex. It takes the same
// time for every signature.
func SentrySigned(body []byte, signature, secret string) bool {
	given, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return hmac.Equal(given, mac.Sum(nil))
}

// Sentry reads a webhook of a Sentry integration: resource is the header
// Sentry-Hook-Resource. An issue alert that triggers and an issue that is
// resolved are one alert, so are the states of a metric alert. Messages that
// mean no alert are ignored. The error is alert.ErrTooLarge or
// alert.ErrMalformed (wrapped).
func Sentry(resource string, body []byte, now time.Time) (result Result, err error) {
	if len(body) > MaxBody {
		return Result{}, fmt.Errorf("sentry's webhook: more than %d bytes: %w", MaxBody, alert.ErrTooLarge)
	}
	var m sentryMessage
	if err := read(strings.NewReader(string(body)), &m); err != nil {
		return Result{}, fmt.Errorf("sentry's webhook: %w", err)
	}
	switch resource + "." + m.Action {
	case "event_alert.triggered":
		result, err = m.event(now)
	case "issue.resolved":
		result, err = m.issue(now)
	case "metric_alert.critical", "metric_alert.warning", "metric_alert.resolved":
		result, err = m.metric(now)
	default:
		return Result{Ignored: fmt.Sprintf("%.40q of the resource %.40q is no alert", m.Action, resource)}, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("sentry's webhook: %w", err)
	}
	return result, nil
}

type sentryMessage struct {
	Action string          `json:"action"`
	Data   json.RawMessage `json:"data"`
}

// event makes an alert of the event that made an issue alert trigger.
func (m sentryMessage) event(now time.Time) (Result, error) {
	var data struct {
		Event struct {
			Title    string `json:"title"`
			Level    string `json:"level"`
			Culprit  string `json:"culprit"`
			URL      string `json:"url"` // of the API: it has the project's slug
			WebURL   string `json:"web_url"`
			IssueID  text   `json:"issue_id"`
			Project  text   `json:"project"`
			Platform string `json:"platform"`
			Tags     tags   `json:"tags"`
		} `json:"event"`
		Rule string `json:"triggered_rule"`
	}
	if err := decode(m.Data, &data); err != nil {
		return Result{}, err
	}
	e := data.Event
	if e.IssueID == "" {
		return Result{}, fmt.Errorf("the event names no issue: %w", alert.ErrMalformed)
	}
	project := slug(e.URL)
	if project == "" {
		project = string(e.Project)
	}
	return collect([]alert.Draft{{
		Labels:       issueLabels(project, string(e.IssueID), e.Level),
		StartsAt:     now,
		EndsAt:       now.Add(SentryLife),
		GeneratorURL: e.WebURL,
		Annotations: shortened(map[string]string{
			"summary": e.Title, "description": e.Culprit, "rule": data.Rule, "platform": e.Platform,
			"environment": e.Tags["environment"], "release": e.Tags["release"],
		}),
	}}, now)
}

// sentryLevels are the levels of Sentry's events.
var sentryLevels = [...]string{"fatal", "error", "warning", "info", "debug"}

// issue makes alerts that are over of an issue that somebody resolved. It may
// have had events of several levels, each an alert of its own.
func (m sentryMessage) issue(now time.Time) (Result, error) {
	var data struct {
		Issue struct {
			ID      text `json:"id"`
			Project struct {
				ID   text   `json:"id"`
				Slug string `json:"slug"`
			} `json:"project"`
			Permalink string `json:"permalink"`
		} `json:"issue"`
	}
	if err := decode(m.Data, &data); err != nil {
		return Result{}, err
	}
	i := data.Issue
	if i.ID == "" {
		return Result{}, fmt.Errorf("the issue has no id: %w", alert.ErrMalformed)
	}
	var drafts []alert.Draft
	for _, project := range []string{i.Project.Slug, string(i.Project.ID)} {
		if project == "" {
			continue
		}
		for _, level := range sentryLevels {
			drafts = append(drafts, alert.Draft{Labels: issueLabels(project, string(i.ID), level), StartsAt: now, EndsAt: now, GeneratorURL: i.Permalink})
		}
	}
	return collect(drafts, now)
}

// issueLabels tell the alerts of issues apart. They are the same when an
// issue's alert triggers and when the issue is resolved.
func issueLabels(project, issue, level string) map[string]string {
	return shortened(map[string]string{
		"alertname": SentryIssueAlert, alert.LabelService: project, "project": project, "issue": issue, alert.LabelSeverity: level,
	})
}

// metric makes alerts of a metric alert: one of the severity that it has now,
// and one that is over of the other, so that it has one at a time.
func (m sentryMessage) metric(now time.Time) (Result, error) {
	var data struct {
		Alert struct {
			Rule struct {
				ID          text   `json:"id"`
				Name        string `json:"name"`
				Aggregate   string `json:"aggregate"`
				Query       string `json:"query"`
				Environment string `json:"environment"`
			} `json:"alert_rule"`
			ID       text      `json:"id"`
			Title    string    `json:"title"`
			Projects []string  `json:"projects"`
			Started  time.Time `json:"date_started"`
		} `json:"metric_alert"`
		Text   string `json:"description_text"`
		Title  string `json:"description_title"`
		WebURL string `json:"web_url"`
	}
	if err := decode(m.Data, &data); err != nil {
		return Result{}, err
	}
	a := data.Alert
	if a.Rule.ID == "" && a.ID == "" || len(a.Projects) == 0 {
		return Result{}, fmt.Errorf("the metric alert names no rule or no project: %w", alert.ErrMalformed)
	}
	var firing, over []alert.Draft
	for _, severity := range []string{"critical", "warning"} {
		d := alert.Draft{
			Labels: shortened(map[string]string{
				"alertname": SentryMetricAlert, alert.LabelService: a.Projects[0], "project": a.Projects[0],
				"rule": firstOf(string(a.Rule.ID), string(a.ID)), "environment": a.Rule.Environment, alert.LabelSeverity: severity,
			}),
			Annotations: shortened(map[string]string{
				"summary": firstOf(data.Title, a.Rule.Name, a.Title), "description": data.Text, "query": firstOf(a.Rule.Query, a.Rule.Aggregate),
			}),
			StartsAt: a.Started, EndsAt: now.Add(SentryLife), GeneratorURL: data.WebURL,
		}
		if d.StartsAt.After(now) {
			d.StartsAt = now
		}
		if severity == m.Action {
			firing = append(firing, d)
			continue
		}
		d.EndsAt = now
		over = append(over, d)
	}
	return collect(append(firing, over...), now)
}

// slug returns the project's name in a URL of Sentry's API, "" when it has
// none: https://sentry.io/api/0/projects/ORGANIZATION/PROJECT/events/….
func slug(link string) string {
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(u.Path, "/api/0/projects/")
	if parts := strings.Split(rest, "/"); ok && len(parts) >= 2 {
		return parts[1]
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

// text is a text or a whole number: Sentry's ids are both.
type text string

// UnmarshalJSON reads a text or a number as it is written, and null as none.
func (t *text) UnmarshalJSON(b []byte) error {
	var s *string
	if json.Unmarshal(b, &s) == nil {
		*t = ""
		if s != nil {
			*t = text(*s)
		}
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("%.40q is neither a text nor a number", b)
	}
	*t = text(n.String())
	return nil
}

// tags are pairs of a name and a value. What is no pair is left out.
type tags map[string]string

// UnmarshalJSON reads a list of pairs.
func (t *tags) UnmarshalJSON(b []byte) error {
	*t = tags{}
	var pairs list[[3]json.RawMessage]
	if json.Unmarshal(b, &pairs) != nil {
		return nil
	}
	for _, p := range pairs {
		var name, value *string
		if p[2] != nil || json.Unmarshal(p[0], &name) != nil || json.Unmarshal(p[1], &value) != nil {
			continue
		}
		if name != nil && value != nil {
			(*t)[*name] = *value
		}
	}
	return nil
}

// shortened cuts texts that a sender makes as long as it likes.
func shortened(set map[string]string) map[string]string {
	for name, value := range set {
		if len(value) > maxText {
			set[name] = strings.ToValidUTF8(value[:maxText-len("…")], "") + "…"
		}
	}
	return set
}
