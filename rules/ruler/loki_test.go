package ruler_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/rules/ruler"
)

// lokiConfig runs a Loki with tenants whose ruler takes rules over HTTP.
// Numbers: HTTP and gRPC port, folder.
const lokiConfig = `auth_enabled: true
analytics: {reporting_enabled: false}
server: {http_listen_address: 127.0.0.1, http_listen_port: %[1]s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %[2]s, log_level: warn}
common:
  instance_addr: 127.0.0.1
  path_prefix: %[3]s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
ingester: {lifecycler: {min_ready_duration: 0s, final_sleep: 0s}}
schema_config: {configs: [{from: "2024-01-01", store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]}
storage_config:
  use_thanos_objstore: true
  object_store: {filesystem: {dir: %[3]s/chunks}}
ruler_storage: {backend: filesystem, filesystem: {dir: %[3]s/rules}}
ruler: {enable_api: true, poll_interval: 1s, ring: {kvstore: {store: inmemory}}, wal: {dir: %[3]s/wal}}
`

func startLoki(t *testing.T) string {
	t.Helper()
	path, err := servers.Binary("loki")
	if err != nil {
		t.Fatal(err)
	}
	dir, ports := t.TempDir(), [2]string{}
	for i := range ports {
		addr, err := servers.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		_, ports[i], _ = net.SplitHostPort(addr)
	}
	config := filepath.Join(dir, "loki.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, lokiConfig, ports[0], ports[1], dir), 0o600); err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + ports[0]
	p, err := servers.Start(t.Context(), servers.Spec{
		Name: "loki", Path: path, Args: []string{"-config.file=" + config, "-target=all"},
		LogFile: filepath.Join(dir, "loki.log"), Ready: url + "/ready", Timeout: 2 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Kill() })
	return url
}

// A real Loki takes log rules, answers with what it was given, and refuses
// what is no LogQL; what is undone is undone there too.
func TestLokiKeepsTheRules(t *testing.T) {
	client, err := ruler.New(ruler.Config{URL: startLoki(t), API: ruler.Loki, Tenant: "shop", Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	logs := func(name, pattern string) rulefmt.RuleGroup {
		return rulefmt.RuleGroup{Name: name, Interval: model.Duration(time.Minute), Rules: []rulefmt.Rule{{
			Record: "slo:log_errors:rate1m", Labels: map[string]string{"slo": "a", "service": "shop"},
			Expr: fmt.Sprintf("sum by (pod) (\n  rate({namespace=\"shop\"} |= %q [1m])\n)", pattern),
		}}}
	}
	a, b := logs("midwatch-logs/shop/a", `level="error"`), logs("midwatch-logs/shop/b", "panic: 出错")
	if groups, err := client.List(t.Context(), "midwatch"); err != nil || len(groups) != 0 {
		t.Fatalf("before anything is there: %v, %v", groups, err)
	}
	for i, want := range []ruler.Changes{{Set: []string{a.Name, b.Name}}, {Same: 2}} {
		if did, err := client.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{a, b}); err != nil || !cmp.Equal(want, did, cmpopts.EquateEmpty()) {
			t.Fatalf("time %d: %+v, %v", i, did, err)
		}
	}
	broken := logs("midwatch-logs/shop/c", "x")
	broken.Rules[0].Expr = "sum(rate(x[1m]))"
	changed := logs(a.Name, "other")
	if _, err := client.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{changed, b, broken}); err == nil || !strings.Contains(err.Error(), "it answers 400") {
		t.Errorf("what is no LogQL: %v", err)
	}
	groups, err := client.List(t.Context(), "midwatch")
	order := cmpopts.SortSlices(func(a, b rulefmt.RuleGroup) bool { return a.Name < b.Name })
	if diff := cmp.Diff([]rulefmt.RuleGroup{a, b}, groups, order, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if did, err := client.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{b}); err != nil || !cmp.Equal(did.Deleted, []string{a.Name}) {
		t.Errorf("%+v, %v", did, err)
	}
}
