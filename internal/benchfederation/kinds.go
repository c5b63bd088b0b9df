package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

// prom is a Prometheus with data in a block.
type prom struct {
	*servers.Prometheus
	name, external string
	series         []kept
	old            bool // it is a Prometheus 2
}

func (p *prom) begin(ctx context.Context, dir string) (err error) {
	dir = filepath.Join(dir, p.name)
	if err := writeBlock(ctx, filepath.Join(dir, "data"), p.series); err != nil {
		return err
	}
	p.Prometheus, err = servers.StartPrometheus(ctx, servers.PrometheusSpec{
		Name: p.name, Dir: dir, Config: "global: {external_labels: {" + p.external + "}}\n", Old: p.old,
		Flags: []string{"--storage.tsdb.retention.time=100y", "--storage.tsdb.min-block-duration=2h", "--storage.tsdb.max-block-duration=2h"},
	})
	return err
}

// all returns the kinds to try. Each is the cluster hangzhou, beside two of
// Prometheus 3, but for the last: that is all clusters.
func (k *kinds) all() []kind {
	thanos := lacking(k.options.thanos, "there is no Thanos")
	return []kind{
		{title: "Prometheus 3", reference: k.reference, begin: func(context.Context, string) (string, error) {
			return k.beside(k.plain[0].URL), nil
		}},
		{title: "Prometheus 2", reference: k.reference, missing: absent("prometheus2"), begin: k.startOld},
		{title: "VictoriaMetrics", reference: k.reference, missing: absent("victoria-metrics"), begin: k.startVictoria},
		{title: "Mimir", reference: k.reference, missing: lacking(k.options.mimir, "there is no Mimir"), begin: k.startMimir},
		{title: "Thanos Query", reference: k.reference, missing: thanos, begin: k.startThanosAlone},
		k.thanosOverAll(thanos),
	}
}

// beside returns the configuration of a server in the place of hangzhou's.
func (k *kinds) beside(url string) string { return cluster("hangzhou", url, "") + k.others }

// lacking returns why a command cannot be tried, "" where it is one.
func lacking(command, why string) string {
	if command == "" {
		return why
	}
	return ""
}

func absent(name string) string {
	path, err := servers.Binary(name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "there is no " + name
	}
	return ""
}

func (k *kinds) startOld(ctx context.Context, dir string) (string, error) {
	p := &prom{name: "server", external: k.plain[0].external, series: k.plain[0].series, old: true}
	if err := p.begin(ctx, dir); err != nil {
		return "", err
	}
	k.running = append(k.running, p.Process)
	return k.beside(p.URL), nil
}

func (k *kinds) startVictoria(ctx context.Context, dir string) (string, error) {
	v, err := servers.StartVictoria(ctx, servers.VictoriaSpec{Dir: dir})
	if err != nil {
		return "", err
	}
	k.running = append(k.running, v.Process)
	if err := k.give(ctx, v.URL+"/api/v1/write"); err != nil {
		return "", err
	}
	return k.beside(v.URL), k.post(ctx, v.URL+"/internal/force_flush", nil)
}

// mimirConfig runs all of Mimir in one process that keeps its data in a folder
// and talks to nobody.
const mimirConfig = `target: all
multitenancy_enabled: false
usage_stats: {enabled: false}
server: {http_listen_address: %[2]s, http_listen_port: %[3]s, grpc_listen_address: %[2]s, grpc_listen_port: %[4]s, log_level: warn}
common: {storage: {backend: filesystem, filesystem: {dir: %[1]s/common}}}
memberlist: {bind_addr: [%[2]s], bind_port: %[5]s}
blocks_storage: {filesystem: {dir: %[1]s/blocks}, tsdb: {dir: %[1]s/tsdb}, bucket_store: {sync_dir: %[1]s/sync}}
compactor: {data_dir: %[1]s/compactor, sharding_ring: {instance_addr: %[2]s, kvstore: {store: inmemory}}}
distributor: {ring: {instance_addr: %[2]s, kvstore: {store: inmemory}}}
ingester: {ring: {instance_addr: %[2]s, kvstore: {store: inmemory}, replication_factor: 1, min_ready_duration: 0s, final_sleep: 0s}}
store_gateway: {sharding_ring: {instance_addr: %[2]s, replication_factor: 1, kvstore: {store: inmemory}}}
ruler: {rule_path: %[1]s/rules, ring: {instance_addr: %[2]s, kvstore: {store: inmemory}}}
ruler_storage: {backend: filesystem, filesystem: {dir: %[1]s/rules-kept}}
alertmanager: {data_dir: %[1]s/alertmanager}
frontend: {address: %[2]s}
activity_tracker: {filepath: %[1]s/activity}
limits: {query_ingesters_within: 0s, name_validation_scheme: utf8}
`

func (k *kinds) startMimir(ctx context.Context, dir string) (string, error) {
	parts := []any{dir}
	var address string
	for i := range 3 {
		free, err := servers.FreeAddr()
		if err != nil {
			return "", err
		}
		host, port, _ := strings.Cut(free, ":")
		if i == 0 {
			address = free
			parts = append(parts, host)
		}
		parts = append(parts, port)
	}
	config := filepath.Join(dir, "mimir.yaml")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(config, fmt.Appendf(nil, mimirConfig, parts...), 0o644); err != nil {
		return "", err
	}
	p, err := servers.Start(ctx, servers.Spec{
		Name: "mimir", Path: k.options.mimir, Args: []string{"-config.file=" + config}, LogFile: filepath.Join(dir, "mimir.log"), Ready: "http://" + address + "/ready",
	})
	if err != nil {
		return "", err
	}
	k.running = append(k.running, p)
	return k.beside("http://" + address + "/prometheus"), k.give(ctx, "http://"+address+"/api/v1/push")
}

// startThanosAlone puts a Thanos on one cluster.
func (k *kinds) startThanosAlone(ctx context.Context, dir string) (string, error) {
	url, _, err := k.startQuery(ctx, dir, k.plain[:1])
	return k.beside(url), err
}

// thanosOverAll is a Thanos on three clusters, of which one dies: it is the
// last kind.
func (k *kinds) thanosOverAll(missing string) kind {
	var sidecars []*peer
	return kind{
		title: "Thanos Query over three clusters", missing: missing, reference: k.fleet,
		begin: func(ctx context.Context, dir string) (clusters string, err error) {
			var url string
			url, sidecars, err = k.startQuery(ctx, dir, k.plain)
			return cluster("all", url, "labels: {fleet: main}"), err
		},
		after: func(ctx context.Context, midwatch string) (string, error) {
			first, err := k.loses(ctx, midwatch, "a Prometheus", k.plain[1].Kill)
			if err != nil {
				return "", err
			}
			then, err := k.loses(ctx, midwatch, "its sidecar", sidecars[1].Kill)
			return first + ", that of " + strings.TrimPrefix(then, "the death of "), err
		},
	}
}

// startQuery starts a sidecar beside each cluster, and a Thanos Query that
// asks them.
func (k *kinds) startQuery(ctx context.Context, dir string, of []*prom) (url string, sidecars []*peer, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", nil, err
	}
	args := []string{"query"}
	for _, p := range of {
		sidecar, grpc, err := k.startOne(ctx, dir, k.options.thanos, "thanos sidecar "+p.name, "sidecar", "--prometheus.url="+p.URL)
		if err != nil {
			return "", nil, err
		}
		sidecars, args = append(sidecars, sidecar), append(args, "--endpoint="+grpc)
	}
	query, _, err := k.startOne(ctx, dir, k.options.thanos, "thanos query", args...)
	if err != nil {
		return "", nil, err
	}
	return query.url, sidecars, k.wholeThanos(ctx, query.url, len(of))
}

// wholeThanos waits until a Thanos has found its clusters.
func (k *kinds) wholeThanos(ctx context.Context, url string, clusters int) error {
	return k.until(ctx, func() (bool, error) {
		got, err := say(ctx, k.client, url, `group by (cluster) (node_load1)`, periods(k.start)[0])
		list, _ := got.Data.Result.([]any)
		return len(list) == clusters, err
	})
}

// give writes the series of hangzhou to a server, in order of time.
func (k *kinds) give(ctx context.Context, url string) error {
	return inTurns(k.plain[0].series, func(turn []kept) error {
		var req prompb.WriteRequest
		for _, s := range turn {
			ts := prompb.TimeSeries{}
			s.labels.Range(func(l labels.Label) { ts.Labels = append(ts.Labels, prompb.Label{Name: l.Name, Value: l.Value}) })
			for _, one := range s.samples {
				ts.Samples = append(ts.Samples, prompb.Sample{Timestamp: one.at, Value: one.value})
			}
			req.Timeseries = append(req.Timeseries, ts)
		}
		plain, err := proto.Marshal(&req)
		if err != nil {
			return err
		}
		return k.post(ctx, url, snappy.Encode(nil, plain))
	})
}

func (k *kinds) post(ctx context.Context, url string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("Content-Encoding", "snappy")
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	if err == nil && resp.StatusCode/100 != 2 {
		err = fmt.Errorf("write: %s: %s", resp.Status, text)
	}
	return err
}
