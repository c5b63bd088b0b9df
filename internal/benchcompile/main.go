// Command benchcompile measures what "midwatch compile" takes for many SLOs:
// seconds of CPU (user and system) and peak memory of the whole process, by
// what the kernel counts. It knows nothing of how rules are made.
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
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	slos, runs int
	midwatch   string
	maxCPU     time.Duration // 0: none
	maxMiB     float64
}

// errTooMuch is the end of a run that took more than it may.
var errTooMuch = errors.New("more than it may take")

func main() {
	var o options
	flag.IntVar(&o.slos, "slos", 5000, "how many")
	flag.IntVar(&o.runs, "runs", 5, "of each; the median counts")
	flag.StringVar(&o.midwatch, "midwatch", "bin/midwatch", "the command")
	flag.DurationVar(&o.maxCPU, "max-cpu", 0, "fail when it takes more; 0 never fails")
	flag.Float64Var(&o.maxMiB, "max-mib", 0, "fail when it takes more; 0 never fails")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := o.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchcompile:", err)
		os.Exit(1)
	}
}

func (o options) run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "midwatch-benchcompile-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf("compile %d SLOs, the whole command\n%-34s %9s %9s %9s\n", o.slos, "", "CPU s", "MiB", "wall s")
	var wrong error
	for _, files := range []int{1, 500} {
		in := filepath.Join(dir, fmt.Sprintf("in-%d", files))
		if err := write(in, o.slos, files); err != nil {
			return err
		}
		m, err := o.measure(ctx, in, filepath.Join(dir, fmt.Sprintf("out-%d", files)))
		if err != nil {
			return err
		}
		name := "midwatch, 1 file of SLOs"
		if files > 1 {
			name = fmt.Sprintf("midwatch, %d files of SLOs", files)
		}
		fmt.Printf("%-34s %9.2f %9.0f %9.2f\n", name, m.cpu.Seconds(), m.mib, m.wall.Seconds())
		if o.maxCPU > 0 && m.cpu > o.maxCPU || o.maxMiB > 0 && m.mib > o.maxMiB {
			wrong = errTooMuch
		}
	}
	fmt.Printf("quoted, measured 2026-11-21 on a machine of this kind:\n%-34s %9.2f %9.0f\n%-34s %9.2f %9.0f\n", "sloth", 3.7, 109.0, "pyrra", 6.6, 48.0)
	return wrong
}

// write writes SLOs as a company has them: fifty to a service, some grouped,
// some counted as good events.
func write(dir string, slos, files int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	each := (slos + files - 1) / files
	for n := range files {
		var b strings.Builder
		for i := n * each; i < min((n+1)*each, slos); i++ {
			one(&b, i)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("slos-%04d.yaml", n)), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func one(b *strings.Builder, i int) {
	app := fmt.Sprintf("service-%03d", i/50)
	side := fmt.Sprintf(`errors: http_requests_total{app=%q,path="/v1/%d",status=~"5.."}`, app, i)
	if i%3 == 1 {
		side = fmt.Sprintf(`good: http_requests_total{app=%q,path="/v1/%d",status!~"5.."}`, app, i)
	}
	group := ""
	if i%5 == 0 {
		group = "\n  group_by: [region]"
	}
	fmt.Fprintf(b, `---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata:
  name: availability-%d
  labels: {team: team-%d}
spec:
  service: %s
  description: Requests of path %d that the user made succeed.
  critical: %t
  objective: 99.%d
  window: 30d%s
  runbook: https://runbooks.example.com/%s
  sli:
    events:
      %s
      total: http_requests_total{app=%q,path="/v1/%d"}
`, i, i%40, app, i, i%7 == 0, i%90+5, group, app, side, app, i)
}

// measured is what one run took.
type measured struct {
	cpu, wall time.Duration
	mib       float64 // at its peak
}

// measure returns the medians of the runs, each into a folder of its own.
func (o options) measure(ctx context.Context, in, out string) (measured, error) {
	var cpus, walls []time.Duration
	var peaks []float64
	for run := range o.runs {
		cmd := exec.CommandContext(ctx, o.midwatch, "compile", "--out", fmt.Sprintf("%s-%d", out, run), in)
		begun := time.Now()
		if text, err := cmd.CombinedOutput(); err != nil {
			return measured{}, fmt.Errorf("%s: %w\n%.2000s", cmd, err, text)
		}
		walls = append(walls, time.Since(begun))
		cpus = append(cpus, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		used, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return measured{}, errors.New("this system does not say what a process took")
		}
		peaks = append(peaks, float64(used.Maxrss)/1024) // KiB on Linux
	}
	slices.Sort(cpus)
	slices.Sort(walls)
	slices.Sort(peaks)
	return measured{cpu: cpus[o.runs/2], wall: walls[o.runs/2], mib: peaks[o.runs/2]}, nil
}
