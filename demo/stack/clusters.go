package stack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/demo/history"
	"github.com/midwatch-slo/midwatch/demo/traffic"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// copyExample copies the example configuration, with the ports of this demo.
func (s *Stack) copyExample() error {
	from := os.DirFS(filepath.Join(s.Root, "examples", "shop"))
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := s.path("config", name)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		return os.WriteFile(to, []byte(s.Ports.moved(string(b))), 0o600)
	})
	if err != nil {
		return fmt.Errorf("copy the example configuration: %w", err)
	}
	return nil
}

// compile writes the rules of the example's SLOs to a folder, and reads them.
func (s *Stack) compile(ctx context.Context, dir string, interval, scrape time.Duration) ([]rulefmt.RuleGroup, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.midwatch(), "compile", "--format", "prometheus",
		"--interval", model.Duration(interval).String(), "--scrape-interval", model.Duration(scrape).String(),
		"--out", dir, s.path("config", "slo")).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("midwatch compile: %w\n%s", err, out)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("find rules: %w", err)
	}
	var groups []rulefmt.RuleGroup
	for _, f := range files {
		rgs, errs := rulefmt.ParseFile(f, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
		if len(errs) > 0 {
			return nil, fmt.Errorf("read rules: %w", errors.Join(errs...))
		}
		groups = append(groups, rgs.Groups...)
	}
	if len(groups) == 0 {
		return nil, errors.New("midwatch compile wrote no rules")
	}
	return groups, nil
}

// startClusters gives each cluster's Prometheus its rules and its past, and
// starts it.
func (s *Stack) startClusters(ctx context.Context) error {
	groups, err := s.compile(ctx, s.path("rules"), Rules, Scrape)
	if err != nil {
		return err
	}
	past, err := s.compile(ctx, s.path("rules-of-the-past"), history.Coarse, history.Coarse)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	for n, c := range traffic.Clusters() {
		g.Go(func() error {
			begin := time.Now()
			dir := s.path(c.Name)
			_, err := history.Write(ctx, history.Config{
				Dir: filepath.Join(dir, "data"), Cluster: c, End: s.Began, Scrape: Scrape,
				Groups: groups, Past: past, Charts: []string{"slo:period_error_budget_remaining:ratio", "slo:sli_error:ratio_rate1h"},
				Target: func(app string) map[string]string { return target(c, app) },
			})
			if err != nil {
				return err
			}
			s.Tell("%s: 30 days of history written in %s", c.Name, time.Since(begin).Round(100*time.Millisecond))
			return s.startPrometheus(ctx, n, c, dir)
		})
	}
	return g.Wait()
}

func (s *Stack) startPrometheus(ctx context.Context, n int, c traffic.Cluster, dir string) error {
	p, err := servers.StartPrometheus(ctx, servers.PrometheusSpec{
		Name: c.Name, Dir: dir, Listen: s.Ports.Prometheus(n), Config: s.prometheusConfig(n, c),
		Flags: []string{
			"--storage.tsdb.retention.time=90d",
			"--rules.alert.resend-delay=15s",
			"--web.external-url=http://" + s.Ports.Prometheus(n),
		},
	})
	if err != nil {
		return err
	}
	s.add("prometheus "+c.Name, p.Process)
	s.Tell("%s: Prometheus is ready", c.Name)
	return nil
}

// target is the labels that a scrape adds to a service's series.
func target(c traffic.Cluster, app string) map[string]string {
	return map[string]string{
		"job": "shop", "instance": c.Pod(app), "namespace": traffic.Namespace, "pod": c.Pod(app), "node": c.Node(app),
	}
}

func (s *Stack) prometheusConfig(n int, c traffic.Cluster) string {
	var b strings.Builder
	fmt.Fprintf(&b, `global:
  scrape_interval: %s
  evaluation_interval: %s
  external_labels: {cluster: %s}
rule_files: [%q]
alerting:
  alertmanagers:
    - static_configs: [{targets: [%q]}]
scrape_configs:
  - job_name: prometheus
    static_configs: [{targets: [%q]}]
  - job_name: shop
    static_configs:
`, model.Duration(Scrape), model.Duration(Rules), c.Name, s.path("rules", "*.yaml"), s.Ports.Midwatch(), s.Ports.Prometheus(n))
	for _, app := range traffic.Apps() {
		fmt.Fprintf(&b, "      - targets: [%q]\n        labels: {", s.Ports.App(n, app))
		t := target(c, app)
		fmt.Fprintf(&b, "instance: %q, namespace: %q, pod: %q, node: %q}\n", t["instance"], t["namespace"], t["pod"], t["node"])
	}
	return b.String()
}
