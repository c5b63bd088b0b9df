package ingest

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

var at = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAlertmanager(t *testing.T) {
	r, err := Alertmanager(bytes.NewReader(sample(t, "alertmanager.json")), at)
	if err != nil || len(r.Alerts) != 2 || r.Missing != 3 {
		t.Fatalf("got %+v, %v", r, err)
	}
	fires, over := r.Alerts[0], r.Alerts[1]
	if fires.State != alert.Firing || !fires.EndsAt.Equal(at.Add(HookLife)) || fires.StartsAt.Format(time.TimeOnly) != "02:58:13" ||
		fires.Label("service") != "checkout" || fires.Annotations["summary"] != "p99 over a second" || fires.GeneratorURL == "" {
		t.Errorf("fires: %+v", fires)
	}
	if over.State != alert.Resolved || over.EndsAt.Format(time.TimeOnly) != "02:59:00" {
		t.Errorf("over: %+v", over)
	}
	var bad alert.InvalidError
	if !errors.As(r.Refused, &bad) || len(bad) != 1 || bad[0].Index != 2 {
		t.Errorf("refused: %v", r.Refused)
	}
}

// What the status says counts, whatever the clocks of both sides show.
func TestHooksWithOddTimes(t *testing.T) {
	for name, c := range map[string]struct {
		alert      string
		state      alert.State
		start, end time.Time
	}{
		"fires in the future":    {`"status": "firing", "startsAt": "2026-11-21T04:00:00Z"`, alert.Firing, at, at.Add(HookLife)},
		"fires, and has ended":   {`"status": "firing", "startsAt": "2026-11-21T01:00:00Z", "endsAt": "2026-11-21T02:00:00Z"`, alert.Firing, at.Add(-2 * time.Hour), at.Add(HookLife)},
		"resolved in the future": {`"status": "resolved", "startsAt": "2026-11-21T02:00:00Z", "endsAt": "2026-11-21T04:00:00Z"`, alert.Resolved, at.Add(-time.Hour), at},
		"resolved, no times":     {`"status": "resolved"`, alert.Resolved, at, at},
		"ends before its start":  {`"status": "resolved", "startsAt": "2026-11-21T02:30:00Z", "endsAt": "2026-11-21T02:00:00Z"`, alert.Resolved, at.Add(-time.Hour), at.Add(-time.Hour)},
	} {
		r, err := Alertmanager(strings.NewReader(`{"alerts": [{"labels": {"a": "b"}, `+c.alert+`}]}`), at)
		if err != nil || len(r.Alerts) != 1 {
			t.Errorf("%s: %+v, %v", name, r, err)
			continue
		}
		if a := r.Alerts[0]; a.State != c.state || !a.StartsAt.Equal(c.start) || !a.EndsAt.Equal(c.end) {
			t.Errorf("%s: %s from %s to %s", name, a.State, a.StartsAt, a.EndsAt)
		}
	}
}

func TestGrafana(t *testing.T) {
	r, err := Grafana(bytes.NewReader(sample(t, "grafana.json")), at)
	if err != nil || len(r.Alerts) != 1 || r.Refused != nil {
		t.Fatalf("got %+v, %v", r, err)
	}
	a := r.Alerts[0]
	if a.Annotations["dashboard"] != "https://grafana.example.com/d/nodes" || a.Annotations["values"] == "" || !a.StartsAt.Equal(at.Add(-2*time.Minute)) {
		t.Errorf("got %+v", a)
	}
}

func TestSentryIssues(t *testing.T) {
	fires, err := Sentry("event_alert", sample(t, "sentry_event.json"), at)
	if err != nil || len(fires.Alerts) != 1 {
		t.Fatalf("got %+v, %v", fires, err)
	}
	a := fires.Alerts[0]
	want := model.LabelSet{"alertname": "SentryIssue", "service": "payments-api", "project": "payments-api", "issue": "1170820242", "severity": "error"}
	if !a.Labels.Equal(want) || a.State != alert.Firing || !strings.HasPrefix(a.GeneratorURL, "https://sentry.io/organizations/acme/issues/") {
		t.Errorf("got %+v", a)
	}
	if a.Annotations["summary"] != "TimeoutError: pool exhausted" || a.Annotations["environment"] != "production" || a.Annotations["rule"] != "Errors in production" {
		t.Errorf("annotations %v", a.Annotations)
	}
	over, err := Sentry("issue", sample(t, "sentry_resolved.json"), at)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, o := range over.Alerts {
		found = found || o.Labels.Equal(a.Labels)
		if o.State != alert.Resolved {
			t.Errorf("%s is %s", o.Labels, o.State)
		}
	}
	if !found {
		t.Errorf("none of %v is over %s", over.Alerts, a.Labels)
	}
}

func TestSentryMetrics(t *testing.T) {
	body := sample(t, "sentry_metric.json")
	states := func(action string) string {
		r, err := Sentry("metric_alert", bytes.Replace(body, []byte(`"critical"`), []byte(`"`+action+`"`), 1), at)
		if err != nil || len(r.Alerts) != 2 {
			t.Fatalf("%s: %+v, %v", action, r, err)
		}
		text := ""
		for _, a := range r.Alerts {
			text += a.Label("severity") + " " + string(a.State) + ", "
			if a.Label("rule") != "7" || a.Label("service") != "payments-api" || a.Annotations["summary"] != "Critical: Too many errors" {
				t.Errorf("%s: %+v", action, a)
			}
		}
		return text
	}
	for action, want := range map[string]string{
		"critical": "critical firing, warning resolved, ", // firing first: the incident stays open
		"warning":  "warning firing, critical resolved, ",
		"resolved": "critical resolved, warning resolved, ",
	} {
		if got := states(action); got != want {
			t.Errorf("%s: %s", action, got)
		}
	}
}

func TestSentryThatIsNoAlert(t *testing.T) {
	for _, resource := range []string{"installation", "issue", "error", ""} {
		r, err := Sentry(resource, []byte(`{"action": "created", "data": {}}`), at)
		if err != nil || len(r.Alerts) > 0 || r.Ignored == "" {
			t.Errorf("%s: %+v, %v", resource, r, err)
		}
	}
}

// The signature of "{}" under the key "secret", by openssl dgst -sha256 -hmac.
const signatureOfNothing = "77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13"

func TestSentrySigned(t *testing.T) {
	mac := hmac.New(sha256.New, []byte("secret"))
	mac.Write([]byte("{}"))
	if got := hex.EncodeToString(mac.Sum(nil)); got != signatureOfNothing {
		t.Fatalf("the signature is %s", got)
	}
	for signature, want := range map[string]bool{
		signatureOfNothing: true, strings.ToUpper(signatureOfNothing): true,
		"": false, "x": false, signatureOfNothing[:62]: false, strings.Repeat("0", 64): false,
	} {
		if got := SentrySigned([]byte("{}"), signature, "secret"); got != want {
			t.Errorf("%q: %t", signature, got)
		}
	}
	if SentrySigned([]byte("{ }"), signatureOfNothing, "secret") || SentrySigned([]byte("{}"), signatureOfNothing, "other") {
		t.Error("another body or key passes")
	}
}

func TestMalformedHooks(t *testing.T) {
	parsers := map[string]func(string) error{
		"alertmanager": func(s string) error { _, err := Alertmanager(strings.NewReader(s), at); return err },
		"grafana":      func(s string) error { _, err := Grafana(strings.NewReader(s), at); return err },
		"sentry":       func(s string) error { _, err := Sentry("event_alert", []byte(s), at); return err },
		"sentry issue": func(s string) error {
			_, err := Sentry("issue", []byte(strings.Replace(s, "triggered", "resolved", 1)), at)
			return err
		},
	}
	for name, parse := range parsers {
		for _, body := range []string{
			"", "[]", `"x"`, "{", "\xff", strings.Repeat("[", 65), strings.Repeat(" ", MaxBody+1), `{"alerts": 7, "action": 7}`,
			`{"alerts": [{"labels": {"a": 1}}], "action": "triggered", "data": {"event": []}}`,
			`{"alerts": [{"status": "asleep", "labels": {"a": "b"}}], "action": "triggered", "data": {"event": {}, "issue": {}}}`,
			`{"alerts": [{"status": "firing", "startsAt": "yesterday"}], "action": "triggered", "data": null}`,
		} {
			err := parse(body)
			if !errors.Is(err, alert.ErrMalformed) && !errors.Is(err, alert.ErrTooLarge) {
				t.Errorf("%s: %.60q: %v", name, body, err)
			}
		}
	}
}

func TestSeverities(t *testing.T) {
	s := DefaultSeverities().With(Severities{"Critical": alert.P1, "sev4": alert.Info})
	for came, want := range map[model.LabelValue]model.LabelValue{
		"critical": "P1", "CRITICAL": "P1", "error": "P2", "warning": "P3", "page": "P1", "sev4": "Info", // by the table
		"P2": "P2", "p3": "P3", "info": "Info", // levels
		"strange": "strange", "": "", // nobody knows
	} {
		labels := model.LabelSet{"alertname": "A", "severity": came}
		a := s.Normalize(alert.Alert{Labels: labels})
		if a.Labels["severity"] != want || labels["severity"] != came {
			t.Errorf("%q became %q, of %q", came, a.Labels["severity"], labels["severity"])
		}
		if changed := want != came; changed != (a.Annotations["severity"] == came && came != "") {
			t.Errorf("%q is kept as %q", came, a.Annotations["severity"])
		}
		if again := s.Normalize(a); !again.Labels.Equal(a.Labels) {
			t.Errorf("%q: normalized twice it is %v", came, again.Labels)
		}
	}
	if got := DefaultSeverities()["critical"]; got != alert.P2 {
		t.Errorf("the default of critical is %s", got)
	}
}

// sound is what every alert must be that comes from bytes of strangers.
func sound(t *testing.T, r Result, err error) {
	t.Helper()
	if err != nil {
		if !errors.Is(err, alert.ErrMalformed) && !errors.Is(err, alert.ErrTooLarge) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return
	}
	for _, a := range r.Alerts {
		if len(a.Labels) == 0 || a.EndsAt.Before(a.StartsAt) || a.State == alert.Expired {
			t.Fatalf("took %+v", a)
		}
	}
}

func FuzzAlertmanager(f *testing.F) {
	f.Add(sample(f, "alertmanager.json"))
	f.Add([]byte(`{"alerts": [{"status": "resolved", "labels": {"\u0000": "x"}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Alertmanager(bytes.NewReader(body), at)
		sound(t, r, err)
	})
}

func FuzzGrafana(f *testing.F) {
	f.Add(sample(f, "grafana.json"))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := Grafana(bytes.NewReader(body), at)
		sound(t, r, err)
	})
}

func FuzzSentry(f *testing.F) {
	f.Add("event_alert", sample(f, "sentry_event.json"))
	f.Add("issue", sample(f, "sentry_resolved.json"))
	f.Add("metric_alert", sample(f, "sentry_metric.json"))
	f.Add("event_alert", []byte(`{"action": "triggered", "data": {"event": {"issue_id": 7, "url": ":", "tags": {"a": 1}}}}`))
	f.Fuzz(func(t *testing.T, resource string, body []byte) {
		r, err := Sentry(resource, body, at)
		sound(t, r, err)
	})
}
