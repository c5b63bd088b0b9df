// Package ingest reads what other systems than Prometheus send of their
// alerts, and makes alerts of it: the webhooks of Alertmanager, Grafana and
// Sentry. It takes nothing in itself and asks nobody: bytes become alerts, or
// an error that says why not.
package ingest

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Bounds of one webhook.
const (
	MaxBody  = 8 << 20 // bytes
	maxDepth = 64      // Sentry sends the variables of every frame of a stack
	maxText  = 8 << 10 // bytes of a text that becomes a label or an annotation
)

// A webhook tells of an alert when it begins and some hours later again, not
// every minute as Prometheus does. For so long an alert of one lives unless it
// is sent again; then it is expired, not resolved.
const (
	HookLife   = 24 * time.Hour     // of Alertmanager and Grafana, that repeat every 4 hours by default
	SentryLife = 7 * 24 * time.Hour // Sentry repeats nothing
)

// Result is what a webhook brought.
type Result struct {
	Alerts []alert.Alert
	// Refused says which alerts are not valid, and why; the others are taken.
	// It is an alert.InvalidError or nil.
	Refused error
	// Missing is how many alerts the sender left out of what it sent.
	Missing int
	// Ignored says why a sound message means no alert; "" when it does.
	Ignored string
}

// read reads a body of JSON into v. Fields that v does not know are the
// sender's own business.
func read(r io.Reader, v any) error {
	body, err := alert.ReadJSON(r, MaxBody, maxDepth)
	if err != nil {
		return err
	}
	return decode(body, v)
}

func decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("%w: %w", alert.ErrMalformed, err)
	}
	return nil
}

// collect makes alerts of drafts.
func collect(drafts []alert.Draft, now time.Time) (result Result, err error) {
	if len(drafts) > alert.MaxAlerts {
		return Result{}, fmt.Errorf("more than %d alerts: %w", alert.MaxAlerts, alert.ErrTooLarge)
	}
	var bad alert.InvalidError
	for i, d := range drafts {
		a, err := d.Alert(now)
		if err != nil {
			bad = append(bad, alert.Invalid{Index: i, Labels: a.Labels, Err: err})
			continue
		}
		result.Alerts = append(result.Alerts, a)
	}
	if bad != nil {
		result.Refused = bad
	}
	return result, nil
}
