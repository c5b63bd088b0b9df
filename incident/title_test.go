package incident

import (
	"testing"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

func TestTitles(t *testing.T) {
	for _, tc := range []struct {
		name, slo, summary, want string
	}{
		{"SLOErrorBudgetBurn", "payments", "shop burns the error budget of payments", "payments burns its error budget"},
		{"SLONoData", "payments", "payments of shop has no data", "payments of shop has no data"},
		{"SLOErrorBudgetSpent", "payments", "", "payments burns its error budget"},
		{"NodeDown", "", "node 7 is down\nfor long", "node 7 is down"},
		{"NodeDown", "", "", "NodeDown"},
	} {
		a := alert.Alert{
			Labels:      model.LabelSet{"alertname": model.LabelValue(tc.name), "service": "shop", "slo": model.LabelValue(tc.slo)},
			Annotations: model.LabelSet{"summary": model.LabelValue(tc.summary)},
		}
		if got := titleOf(a); got != tc.want {
			t.Errorf("%s: want %q, got %q", tc.name, tc.want, got)
		}
	}
}
