package app

import (
	"testing"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/federation"
)

func TestAnAlertIsOfTheClusterThatItsLabelsNameBest(t *testing.T) {
	a := &App{}
	a.current.Store(&state{config: Config{Clusters: []federation.Cluster{
		{Name: "prod", Labels: map[string]string{"region": "cn"}, ReplicaLabels: []string{"replica"}},
		{Name: "test", Labels: map[string]string{"region": "cn", "env": "test"}},
	}}})
	for want, labels := range map[string]model.LabelSet{
		"prod": {"region": "cn", "replica": "a"},
		"test": {"region": "cn", "env": "test"},
		"":     {"region": "eu"},
	} {
		got := a.normalize(alert.Alert{Labels: labels})
		if got.Label(alert.LabelCluster) != want || got.Label("replica") != "" {
			t.Errorf("alert %v became %v; want cluster %q", labels, got.Labels, want)
		}
	}
}

func TestNobodyOutsideSpeaksForMidwatch(t *testing.T) {
	silent := model.LabelSet{"service": "midwatch", "alertname": "MidwatchClusterSilent", "cluster": "prod"}
	for name, marked := range map[model.LabelValue]bool{"MidwatchClusterSilent": true, "MidwatchWatchdog": false, "HighLoad": false} {
		labels := silent.Clone()
		labels["alertname"] = name
		if got := outside(alert.Alert{Labels: labels}).Label(labelOrigin); (got != "") != marked {
			t.Errorf("%s: origin %q", name, got)
		}
	}
}
