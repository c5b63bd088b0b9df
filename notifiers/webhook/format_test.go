package webhook

import (
	"encoding/json"
	"net/url"
	"reflect"
	"testing"
	"time"

	am "github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// TestFormatIsAlertmanagers compares a body with what Alertmanager's own code
// makes of the same alerts.
func TestFormatIsAlertmanagers(t *testing.T) {
	r := newRig(t, nil)
	p := burning(3)
	p.Incident.Alerts[1].State, p.Incident.Alerts[1].EndsAt = alert.Resolved, at.AddDate(-1, 0, 0)
	p.Incident.Alerts[2].Annotations = nil
	got := decoded(t, send(t, r, p).Body)

	external, err := url.Parse("https://midwatch.example.com")
	if err != nil {
		t.Fatal(err)
	}
	var alerts []*am.Alert
	for _, a := range p.Incident.Alerts {
		end := a.EndsAt
		if a.State == alert.Firing {
			end = time.Time{}
		}
		alerts = append(alerts, &am.Alert{Alert: model.Alert{
			Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt, EndsAt: end, GeneratorURL: a.GeneratorURL,
		}})
	}
	group := model.LabelSet{"service": "payment-service", "slo": "payment-availability"}
	data, err := json.Marshal((&template.Template{ExternalURL: external}).Data("webhook", group, nil, "", alerts...))
	if err != nil {
		t.Fatal(err)
	}
	want := decoded(t, data)
	want["version"], want["groupKey"], want["truncatedAlerts"] = "4", "payment-service/payment-availability", 0.0
	// Of later versions than the format's.
	delete(want, "notification_reason")
	delete(want, "routeLabels")
	delete(got, "midwatch")
	for name := range want {
		if !reflect.DeepEqual(got[name], want[name]) {
			t.Errorf("%s: got %v, want %v", name, got[name], want[name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d members, want %d", len(got), len(want))
	}
}
