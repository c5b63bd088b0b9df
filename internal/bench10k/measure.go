package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

const config = `
global: {scrape_interval: 30s, scrape_timeout: 20s, evaluation_interval: 30s}
rule_files: [rules/*.yaml]
scrape_configs:
  - job_name: events
    honor_labels: true
    static_configs:
%s    metric_relabel_configs: [{action: labeldrop, regex: job|instance}]
`

// measure runs Prometheus on the folder and prints what it spent.
func measure(ctx context.Context, dir string, o options, events []string) error {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: exporter(events, o.slos), ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(l) }() // ends by Close
	defer srv.Close()
	began := time.Now()
	p, err := servers.StartPrometheus(ctx, servers.PrometheusSpec{
		Name: "bench", Dir: dir, Config: fmt.Sprintf(config, targets(l.Addr().String())),
		Flags: []string{"--storage.tsdb.retention.time=500d", "--storage.tsdb.min-block-duration=1d", "--storage.tsdb.max-block-duration=2d"},
	})
	if err != nil {
		return err
	}
	defer func() { _ = p.Kill() }() // its data is of no use
	fmt.Printf("Prometheus is ready after %.0f s\n", time.Since(began).Seconds())
	if err := wait(ctx, o.warm); err != nil {
		return err
	}
	before, err := spent(ctx, p.URL)
	if err != nil {
		return err
	}
	cpu, err := profile(ctx, dir, p.URL, o.measure)
	if err != nil {
		return err
	}
	after, err := spent(ctx, p.URL)
	if err != nil {
		return err
	}
	if err := printGroups(ctx, p.URL); err != nil {
		return err
	}
	cycles := after.at.Sub(before.at).Seconds() / cycle.Seconds()
	rules := cpu.rules / cycles
	fmt.Printf("\nin each cycle of %s, mean over %s:\n", cycle, o.measure)
	fmt.Printf("  rules             %.2f s of CPU: evaluated, and their series stored\n", rules)
	fmt.Printf("  evaluations       %.2f s from their beginnings to their ends, waiting for a core included\n", (after.rules-before.rules)/cycles)
	fmt.Printf("  process           %.2f s of CPU: scraping the event series, and %.2f s of collecting garbage, too\n", (after.cpu-before.cpu)/cycles, cpu.marker/cycles)
	fmt.Printf("  memory            %.0f MiB resident, %.0f series in the head, %.0f failures, %.0f evaluations missed\n",
		after.resident/(1<<20), after.series, after.failures, after.missed-before.missed)
	if rules == 0 {
		return errors.New("the profiles hold no evaluation of rules")
	}
	if o.limit > 0 && rules > o.limit {
		return fmt.Errorf("%w: %.2f s a cycle, want at most %g", errTooSlow, rules, o.limit)
	}
	return nil
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// figures are what Prometheus says of itself.
type figures struct {
	at                                             time.Time
	rules, cpu, resident, series, failures, missed float64
}

func spent(ctx context.Context, url string) (figures, error) {
	body, err := get(ctx, url+"/metrics")
	if err != nil {
		return figures{}, err
	}
	defer body.Close()
	f := figures{at: time.Now()}
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		name, _, _ = strings.Cut(name, "{")
		if i := strings.LastIndexByte(text, ' '); i >= 0 {
			text = text[i+1:]
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment
		}
		switch name {
		case "prometheus_rule_group_duration_seconds_sum":
			f.rules += v
		case "process_cpu_seconds_total":
			f.cpu += v
		case "process_resident_memory_bytes":
			f.resident += v
		case "prometheus_tsdb_head_series":
			f.series += v
		case "prometheus_rule_evaluation_failures_total":
			f.failures += v
		case "prometheus_rule_group_iterations_missed_total":
			f.missed += v
		}
	}
	return f, lines.Err()
}

func get(ctx context.Context, url string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	return resp.Body, nil
}

// printGroups prints what the last evaluation of each rule took, of the
// groups that are not over all SLOs their sum.
func printGroups(ctx context.Context, url string) error {
	body, err := get(ctx, url+"/api/v1/rules")
	if err != nil {
		return err
	}
	defer body.Close()
	var answer struct {
		Data struct {
			Groups []struct {
				Name, File     string
				Interval       float64
				EvaluationTime float64
				Rules          []struct {
					Name, LastError string
					EvaluationTime  float64
					Labels          map[string]string
				}
			}
		}
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return err
	}
	fmt.Printf("\n%-28s %-46s %9s %12s\n", "group", "rule", "every", "s each cycle")
	single, number := 0.0, 0
	for _, g := range answer.Data.Groups {
		weight := cycle.Seconds() / g.Interval
		if strings.Contains(g.Name, "/") {
			single, number = single+g.EvaluationTime*weight, number+1
			continue
		}
		fmt.Printf("%-28s %-46s %8.0fs %12.4f\n", g.Name, "", g.Interval, g.EvaluationTime*weight)
		for _, r := range g.Rules {
			fmt.Printf("%-28s %-46s %9s %12.4f  %s\n", "", r.Name+" "+r.Labels["tier"]+" "+r.Labels["severity"], "", r.EvaluationTime*weight, r.LastError)
		}
	}
	fmt.Printf("%-28s %-46s %9s %12.4f\n", fmt.Sprintf("%d of SLOs' own", number), "", "", single)
	return nil
}

// eventMetrics returns the event series that rules read.
func eventMetrics(reads []read) []string {
	var out []string
	for _, r := range reads {
		if r.every == cycle && (strings.HasSuffix(r.metric, "m15s") || strings.HasSuffix(r.metric, "rate5m")) {
			out = append(out, r.metric)
		}
	}
	out = append(out, "slo:sli_errors:rate5m", "slo:sli_total:rate5m")
	slices.Sort(out)
	return slices.Compact(out)
}
