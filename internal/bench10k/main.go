// Command bench10k measures what the rules of many SLOs cost a real
// Prometheus: seconds of a core in each cycle of 30 s, by group and in total.
// It compiles SLOs by bin/midwatch, writes the history that their rules read,
// and gives Prometheus the event series; it knows nothing of how rules are
// made.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// cycle is how often event series are scraped and windows evaluated.
const cycle = 30 * time.Second

// errTooSlow is the end of a run that took longer than it may.
var errTooSlow = errors.New("slower than it may be")

type options struct {
	slos          int
	warm, measure time.Duration
	limit         float64 // seconds a cycle
	midwatch      string  // the command
	extras        string  // YAML added to each spec
	keep          string  // folder that is kept; "" is one that is not
}

func main() {
	var o options
	flag.IntVar(&o.slos, "slos", 10_000, "how many SLOs")
	flag.DurationVar(&o.warm, "warm", 150*time.Second, "time before it measures")
	flag.DurationVar(&o.measure, "measure", 5*time.Minute, "time that it measures")
	flag.Float64Var(&o.limit, "limit", 0, "seconds a cycle above which it fails; 0 is no limit")
	flag.StringVar(&o.midwatch, "midwatch", "bin/midwatch", "the command that compiles")
	flag.StringVar(&o.extras, "spec", "", "YAML flow mapping entries added to the spec of each SLO")
	flag.StringVar(&o.keep, "keep", "", "folder to run in, which is kept")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	dir := o.keep
	if dir == "" {
		if dir, err = os.MkdirTemp("", "bench10k"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	if err := writeSLOs(filepath.Join(dir, "slos"), o); err != nil {
		return fmt.Errorf("write SLOs: %w", err)
	}
	began := time.Now()
	compile := exec.CommandContext(ctx, o.midwatch, "compile", "--out", filepath.Join(dir, "compiled"), filepath.Join(dir, "slos"))
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("compile: %w\n%s", err, out[:min(len(out), 2000)])
	}
	fmt.Printf("compiled %d SLOs in %.2f s\n", o.slos, time.Since(began).Seconds())
	reads, err := keepRules(filepath.Join(dir, "compiled"), filepath.Join(dir, "rules"))
	if err != nil {
		return fmt.Errorf("read rules: %w", err)
	}
	began = time.Now()
	if err := writeHistory(ctx, filepath.Join(dir, "data"), reads, o, began); err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	fmt.Printf("history written in %.0f s\n", time.Since(began).Seconds())
	return measure(ctx, dir, o, eventMetrics(reads))
}

// identity returns the service and the name of an SLO.
func identity(i int) (service, name string) {
	return fmt.Sprintf("service-%03d", i/100), fmt.Sprintf("objective-%05d", i)
}

func writeSLOs(dir string, o options) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	const perFile = 100
	for first := 0; first < o.slos; first += perFile {
		var text []byte
		for i := first; i < min(first+perFile, o.slos); i++ {
			service, name := identity(i)
			text = fmt.Appendf(text, `---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: %[2]s, labels: {region: eu}}
spec: {service: %[1]s, objective: 99.9, team: shop, critical: %[3]t, runbook: "https://runbooks.example.com/%[2]s", %[4]s
  sli: {events: {errors: 'failures_total{app="%[2]s"}', total: 'requests_total{app="%[2]s"}'}}}
`, service, name, i%4 == 0, o.extras)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.yaml", first)), text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
