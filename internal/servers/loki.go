package servers

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"time"
)

// LokiSpec says how to run a Loki.
type LokiSpec struct {
	Dir    string // for configuration, data and log; it is created
	Listen string // address; "" is a free one on loopback
	// RemoteWrite is the URL to which its ruler writes what the rule files in
	// Dir/rules/fake record; "" runs no ruler.
	RemoteWrite string
}

// Loki is a running Loki: one process, data on disk, no tenants.
type Loki struct {
	*Process
	URL string
}

// lokiConfig starts as fast as Loki can: everything in one process, rings in
// memory, no wait for other ingesters. Numbers: HTTP and gRPC port, folder.
const lokiConfig = `auth_enabled: false
analytics: {reporting_enabled: false}
server:
  http_listen_address: %[1]s
  http_listen_port: %[2]s
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: %[3]s
  log_level: warn
common:
  instance_addr: 127.0.0.1
  path_prefix: %[4]s
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
  storage: {filesystem: {chunks_directory: %[4]s/chunks, rules_directory: %[4]s/rules}}
ingester:
  lifecycler: {min_ready_duration: 0s, final_sleep: 0s}
schema_config:
  configs:
    - from: "2024-01-01"
      store: tsdb
      object_store: filesystem
      schema: v13
      index: {prefix: index_, period: 24h}
limits_config:
  reject_old_samples: false
  allow_structured_metadata: true
  ingestion_rate_mb: 64
  ingestion_burst_size_mb: 128
  per_stream_rate_limit: 64MB
  per_stream_rate_limit_burst: 128MB
`

// rulerConfig is added where rules are evaluated. Strings: folder, URL.
const rulerConfig = `ruler:
  rule_path: %[1]s/rules-read
  evaluation_interval: 5s
  poll_interval: 5s
  ring: {kvstore: {store: inmemory}}
  wal: {dir: %[1]s/ruler-wal}
  remote_write:
    enabled: true
    clients:
      prometheus: {url: "%[2]s", queue_config: {batch_send_deadline: 1s}}
`

// StartLoki runs the Loki that "make tools" built, and waits until it is
// ready, which takes it some 15 seconds.
func StartLoki(ctx context.Context, spec LokiSpec) (*Loki, error) {
	path, err := Binary("loki")
	if err != nil {
		return nil, err
	}
	addr, err := orFree(spec.Listen)
	if err != nil {
		return nil, err
	}
	grpc, err := FreeAddr()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(spec.Dir)
	if err != nil {
		return nil, fmt.Errorf("start loki: %w", err)
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start loki: %w", err)
	}
	_, grpcPort, err := net.SplitHostPort(grpc)
	if err != nil {
		return nil, fmt.Errorf("start loki: %w", err)
	}
	config := filepath.Join(dir, "loki.yml")
	text := fmt.Sprintf(lokiConfig, host, port, grpcPort, dir)
	if spec.RemoteWrite != "" {
		text += fmt.Sprintf(rulerConfig, dir, spec.RemoteWrite)
	}
	if err := writeConfig(config, text); err != nil {
		return nil, err
	}
	url := "http://" + addr
	p, err := Start(ctx, Spec{
		Name:    "loki",
		Path:    path,
		Args:    []string{"-config.file=" + config, "-target=all"},
		LogFile: filepath.Join(dir, "loki.log"),
		Ready:   url + "/ready",
		Timeout: 2 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	return &Loki{Process: p, URL: url}, nil
}
