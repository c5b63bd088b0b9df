package ingest

import (
	"fmt"
	"io"
	"maps"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// hook is a webhook of Alertmanager, version 4, and of Grafana, whose own
// fields are among its alerts'.
// https://prometheus.io/docs/alerting/latest/configuration/#webhook_config,
// https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/.
type hook struct {
	Version   string          `json:"version"`
	Alerts    list[hookAlert] `json:"alerts"`
	Truncated int             `json:"truncatedAlerts"`
}

type hookAlert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`

	DashboardURL string `json:"dashboardURL"` // of Grafana
	PanelURL     string `json:"panelURL"`
	ValueString  string `json:"valueString"`
}

// Alertmanager reads a webhook of an Alertmanager. The error is
// alert.ErrTooLarge or alert.ErrMalformed (wrapped), or that of reading.
func Alertmanager(r io.Reader, now time.Time) (Result, error) {
	result, err := readHook(r, now, func(hookAlert) map[string]string { return nil })
	if err != nil {
		return Result{}, fmt.Errorf("alertmanager's webhook: %w", err)
	}
	return result, nil
}

// Grafana reads a webhook of Grafana's alerting. Links to the dashboard and
// the panel, and the values that the rule saw, become annotations. The error
// is as Alertmanager's.
func Grafana(r io.Reader, now time.Time) (Result, error) {
	result, err := readHook(r, now, func(a hookAlert) map[string]string {
		return map[string]string{"dashboard": a.DashboardURL, "panel": a.PanelURL, "values": a.ValueString}
	})
	if err != nil {
		return Result{}, fmt.Errorf("grafana's webhook: %w", err)
	}
	return result, nil
}

func readHook(r io.Reader, now time.Time, more func(hookAlert) map[string]string) (Result, error) {
	var h hook
	if err := read(r, &h); err != nil {
		return Result{}, err
	}
	if h.Alerts == nil {
		return Result{}, fmt.Errorf("no list of alerts: %w", alert.ErrMalformed)
	}
	drafts := make([]alert.Draft, 0, len(h.Alerts))
	for _, a := range h.Alerts {
		d, err := a.draft(now, more(a))
		if err != nil {
			return Result{}, err
		}
		drafts = append(drafts, d)
	}
	result, err := collect(drafts, now)
	result.Missing = max(h.Truncated, 0)
	return result, err
}

// draft believes the status, not the times: an alert that fires ends when
// nothing more is heard of it, one that is resolved has ended by now.
func (a hookAlert) draft(now time.Time, more map[string]string) (alert.Draft, error) {
	d := alert.Draft{
		Labels: a.Labels, Annotations: withAll(a.Annotations, more),
		StartsAt: a.StartsAt, EndsAt: a.EndsAt, GeneratorURL: a.GeneratorURL,
	}
	switch a.Status {
	case "firing":
		d.EndsAt = now.Add(HookLife)
		if d.StartsAt.After(now) { // a clock that is ahead
			d.StartsAt = now
		}
	case "resolved":
		ended(&d, now)
	default:
		return d, fmt.Errorf("the status %.40q is neither firing nor resolved: %w", a.Status, alert.ErrMalformed)
	}
	return d, nil
}

// ended makes a draft one of an alert that is over.
func ended(d *alert.Draft, now time.Time) {
	if d.EndsAt.UnixMilli() <= 0 || d.EndsAt.After(now) {
		d.EndsAt = now
	}
	if d.StartsAt.After(d.EndsAt) {
		d.StartsAt = d.EndsAt
	}
}

// withAll returns the annotations and more, where those say nothing.
func withAll(annotations, more map[string]string) map[string]string {
	all := maps.Clone(more)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, annotations)
	return all
}
