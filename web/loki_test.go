package web

import (
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

// lokiRuler is a Loki that does little but to evaluate rules. Texts: address
// and port for HTTP and gRPC, folder, and where alerts go.
const lokiRuler = `auth_enabled: false
analytics: {reporting_enabled: false}
server: {http_listen_address: %[1]s, http_listen_port: %[2]s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %[3]s, log_level: warn}
common:
  instance_addr: 127.0.0.1
  path_prefix: %[4]s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[4]s/chunks, rules_directory: %[4]s/rules}}
ingester:
  lifecycler: {min_ready_duration: 0s, final_sleep: 0s}
schema_config:
  configs: [{from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
ruler:
  alertmanager_url: %[5]s
  enable_alertmanager_v2: true
  alertmanager_client: {type: Bearer, credentials: %[6]s}
  evaluation_interval: 1s
  poll_interval: 1s
  resend_delay: 1s
  external_labels: {cluster: hangzhou}
  rule_path: %[4]s/scratch
  storage: {type: local, local: {directory: %[4]s/rules}}
`

// A real Loki's ruler, with a token, sends an alert of a rule over logs.
func TestLokiSends(t *testing.T) {
	m := &memory{now: time.Now}
	h := newHouse(t, func(c *Config) { c.Receiver, c.Alerts, c.Now = m, m, time.Now })
	h.SetIngest(ingestOf(t, false, false, "ingest-0123456789", ""))
	srv := httptest.NewServer(h)
	defer srv.Close()
	dir := t.TempDir()
	rules := filepath.Join(dir, "rules", "fake") // the tenant where there are none
	if err := os.MkdirAll(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "groups: [{name: g, rules: [{alert: NoLogs, expr: 'vector(1)', labels: {service: search}, annotations: {summary: it is quiet}}]}]\n"
	if err := os.WriteFile(filepath.Join(rules, "rules.yml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	loki := startRuler(t, dir, srv.URL)
	defer func() { _ = loki.Kill() }()
	a := m.await(t, time.Minute)
	if a.Label("alertname") != "NoLogs" || a.Label("cluster") != "hangzhou" || a.Label("service") != "search" {
		t.Errorf("got %+v", a)
	}
}

func startRuler(t *testing.T, dir, to string) *servers.Process {
	t.Helper()
	path, err := servers.Binary("loki")
	if err != nil {
		t.Fatal(err)
	}
	var hosts, ports []string
	for range 2 {
		addr, err := servers.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			t.Fatal(err)
		}
		hosts, ports = append(hosts, host), append(ports, port)
	}
	config := filepath.Join(dir, "loki.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, lokiRuler, hosts[0], ports[0], ports[1], dir, to, "ingest-0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := servers.Start(t.Context(), servers.Spec{
		Name: "loki", Path: path, Args: []string{"-config.file=" + config, "-target=all"}, LogFile: filepath.Join(dir, "loki.log"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}
