package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

// world is the running servers.
type world struct {
	reference string
	clusters  []string
	midwatch  *peer
	running   []*servers.Process

	flat, distributed *peer // of Thanos; nil: there is none
}

// peer is something that answers for all clusters.
type peer struct {
	*servers.Process
	url string
}

// start starts all servers. What is started when one fails is stopped.
func start(ctx context.Context, dir string, end time.Time, o options) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			w.stop()
		}
	}()
	if err := w.startPrometheus(ctx, dir); err != nil {
		return w, err
	}
	if err := w.startMidwatch(ctx, filepath.Join(dir, "midwatch"), o.midwatch); err != nil {
		return w, err
	}
	if o.thanos != "" {
		err = w.startThanos(ctx, filepath.Join(dir, "thanos"), o.thanos, end)
	}
	return w, err
}

func (w *world) stop() {
	for _, p := range w.running {
		_ = p.Kill() // nothing is to be kept
	}
}

// startPrometheus starts the clusters and the reference.
func (w *world) startPrometheus(ctx context.Context, dir string) error {
	started := make([]*servers.Prometheus, clusters+1)
	var group errgroup.Group
	for i := range started {
		group.Go(func() (err error) {
			name, external := "reference", "{}"
			if i < clusters {
				name, external = clusterName(i), "{cluster: "+clusterName(i)+"}"
			}
			started[i], err = servers.StartPrometheus(ctx, servers.PrometheusSpec{
				Name: name, Dir: filepath.Join(dir, name), Config: "global: {external_labels: " + external + "}\n",
				Flags: []string{"--storage.tsdb.retention.time=100d", "--storage.tsdb.min-block-duration=1d", "--storage.tsdb.max-block-duration=2d"},
			})
			return err
		})
	}
	err := group.Wait()
	for i, p := range started {
		if p == nil {
			continue
		}
		w.running = append(w.running, p.Process)
		if i < clusters {
			w.clusters = append(w.clusters, p.URL)
		} else {
			w.reference = p.URL
		}
	}
	return err
}

const serveConfig = `external_url: http://%s
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters:
%snotifiers:
  webhook: {url: "http://127.0.0.1:1/"}
api:
  tokens: [{name: bench, token: only-for-measuring}]
`

// startMidwatch starts what is measured as anybody would run it.
func (w *world) startMidwatch(ctx context.Context, dir, command string) (err error) {
	var list strings.Builder
	for i, u := range w.clusters {
		list.WriteString(cluster(clusterName(i), u, ""))
	}
	w.midwatch, err = w.serve(ctx, dir, command, list.String())
	return err
}

// serve starts a Midwatch with clusters.
func (w *world) serve(ctx context.Context, dir, command, clusters string) (*peer, error) {
	root, err := servers.Root()
	if err != nil {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	for _, name := range []string{"slo.yaml", "oncall.yaml"} {
		if err := copyFile(filepath.Join(root, "testdata", "bench", name), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	address, err := servers.FreeAddr()
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "midwatch.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, serveConfig, address, clusters), 0o644); err != nil {
		return nil, err
	}
	return w.peer(ctx, "midwatch", dir, command, address, "serve", "--config", config, "--web.listen-address", address, "--log.level", "warn")
}

// startThanos starts a sidecar beside each cluster and what asks them all: once
// flat, and once distributed over one more for each cluster.
func (w *world) startThanos(ctx context.Context, dir, command string, end time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var sidecars, leaves []string
	for i, u := range w.clusters {
		_, sidecar, err := w.startOne(ctx, dir, command, "thanos sidecar "+clusterName(i), "sidecar", "--prometheus.url="+u)
		if err != nil {
			return err
		}
		_, leaf, err := w.startOne(ctx, dir, command, "thanos leaf "+clusterName(i), "query", "--query.promql-engine=thanos", "--endpoint="+sidecar)
		if err != nil {
			return err
		}
		sidecars, leaves = append(sidecars, "--endpoint="+sidecar), append(leaves, "--endpoint="+leaf)
	}
	var err error
	if w.flat, _, err = w.startOne(ctx, dir, command, "thanos query", append([]string{"query"}, sidecars...)...); err != nil {
		return err
	}
	args := append([]string{"query", "--query.promql-engine=thanos", "--query.mode=distributed"}, leaves...)
	if w.distributed, _, err = w.startOne(ctx, dir, command, "thanos distributed", args...); err != nil {
		return err
	}
	m := newMeter(end)
	return errors.Join(m.whole(ctx, subject{flat, []string{w.flat.url}}), m.whole(ctx, subject{distributed, []string{w.distributed.url}}))
}

// startOne starts a component of Thanos and returns its address for others.
func (w *world) startOne(ctx context.Context, dir, command, name string, args ...string) (p *peer, grpc string, err error) {
	http, err := servers.FreeAddr()
	if err != nil {
		return nil, "", err
	}
	if grpc, err = servers.FreeAddr(); err != nil {
		return nil, "", err
	}
	p, err = w.peer(ctx, name, dir, command, http, append(args, "--log.level=warn", "--http-address="+http, "--grpc-address="+grpc)...)
	return p, grpc, err
}

func (w *world) peer(ctx context.Context, name, dir, command, address string, args ...string) (*peer, error) {
	p, err := servers.Start(ctx, servers.Spec{
		Name: name, Path: command, Args: args, LogFile: filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".log"), Ready: "http://" + address + "/-/ready",
	})
	if err != nil {
		return nil, err
	}
	w.running = append(w.running, p)
	return &peer{Process: p, url: "http://" + address}, nil
}

func copyFile(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o644)
}

// tell prints where the servers are, for whoever wants to ask them.
func (w *world) tell(to io.Writer, end time.Time) {
	fmt.Fprintf(to, "\nreference %s\nclusters  %s\nmidwatch  %s, process %d\nthe data end at %d\n", w.reference, strings.Join(w.clusters, " "), w.midwatch.url, w.midwatch.PID(), end.Unix())
	for _, r := range rows() {
		fmt.Fprintf(to, "%s\n  curl '%s/api/v1/query?%s'\n", r.title, w.midwatch.url, url.Values{"query": {r.query}, "time": {fmt.Sprint(end.Unix())}}.Encode())
	}
}
