package web

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

const prometheusYML = `
global: {evaluation_interval: 1s, external_labels: {replica: a}}
rule_files: [rules.yml]
alerting:
  alertmanagers:
    - authorization: {credentials: %s}
      static_configs: [{targets: [%q]}]
`

// A real Prometheus, with an ingest token, sends an alert of a rule.
func TestPrometheusSends(t *testing.T) {
	m := &memory{now: time.Now}
	h := newHouse(t, func(c *Config) { c.Receiver, c.Alerts, c.Now = m, m, time.Now })
	h.SetIngest(ingestOf(t, false, false, "ingest-0123456789", ""))
	srv := httptest.NewServer(h)
	defer srv.Close()
	dir := t.TempDir()
	rules := "groups: [{name: g, rules: [{alert: Always, expr: vector(1), labels: {service: search}, annotations: {summary: it fires}}]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "rules.yml"), []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	prom, err := servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
		Name: "sender", Dir: dir, Flags: []string{"--rules.alert.resend-delay=1s"}, Config: fmt.Sprintf(prometheusYML, "ingest-0123456789", strings.TrimPrefix(srv.URL, "http://")),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = prom.Stop() }()
	a := m.await(t, 30*time.Second)
	if a.Label("alertname") != "Always" || a.Label("cluster") != "hangzhou" || a.Label("replica") != "a" || a.State != alert.Firing || a.Annotations["summary"] != "it fires" {
		t.Errorf("got %+v", a)
	}
}
