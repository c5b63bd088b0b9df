// Command benchfederation measures what it costs to ask three clusters as if
// they were one Prometheus: in turns and in one run, the Prometheus that holds
// the series of all three, the same query put to the three at once, Midwatch's
// API, and a peer where there is one. All are real processes over data that is
// written before; it knows nothing of how queries are planned.
//
// Then it sees that answers are the same with servers of other kinds in the
// place of a cluster's Prometheus.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
)

// clusters are those that are asked as one.
const clusters = 3

// errTooSlow is the end of a run in which something cost more than it may.
var errTooSlow = errors.New("more than it may be")

type options struct {
	series   int            // of the large metric, in each cluster
	turns    int            // of a small query
	large    int            // of a large one
	warm     int            // turns before it measures
	only     *regexp.Regexp // rows to measure; then no back ends are tried
	midwatch string         // the command
	thanos   string         // the command; "" measures none
	mimir    string         // the command; "" tries none
	backends bool           // tries back ends alone, and measures nothing
	check    bool           // fails where something costs more than it may
	keep     string         // folder that is kept; "" is one that is not
	hold     bool           // leaves the servers running after it measured
}

func main() {
	var o options
	flag.IntVar(&o.series, "series", 30_000, "series of the large metric in each cluster")
	flag.IntVar(&o.turns, "turns", 300, "turns in which a small query is asked")
	flag.IntVar(&o.large, "large", 30, "turns in which a large query is asked")
	flag.IntVar(&o.warm, "warm", 5, "turns before it measures")
	flag.StringVar(&o.midwatch, "midwatch", "bin/midwatch", "the command that serves")
	flag.StringVar(&o.thanos, "thanos", "", "the command of a peer, Thanos")
	flag.StringVar(&o.mimir, "mimir", "", "the command of a back end, Mimir")
	flag.BoolVar(&o.backends, "backends", false, "see that answers are the same with other servers in the place of a Prometheus, and measure nothing")
	flag.BoolVar(&o.check, "check", false, "fail where a query costs more than it may")
	flag.StringVar(&o.keep, "keep", "", "folder to run in, which is kept, and used again as it is")
	flag.BoolVar(&o.hold, "hold", false, "print where the servers are, and leave them running until it is interrupted")
	flag.Func("only", "regular expression of the rows to measure, and to try no back ends", func(s string) (err error) {
		o.only, err = regexp.Compile(s)
		return err
	})
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
		if dir, err = os.MkdirTemp("", "benchfederation"); err != nil {
			return err
		}
		defer os.RemoveAll(dir)
	}
	var slow error
	if !o.backends {
		if slow = runTable(ctx, dir, o); slow != nil && !errors.Is(slow, errTooSlow) {
			return slow
		}
	}
	if o.backends || o.only == nil && !o.hold {
		return errors.Join(slow, backends(ctx, filepath.Join(dir, "backends"), o, os.Stdout))
	}
	return slow
}

// runTable measures.
func runTable(ctx context.Context, dir string, o options) error {
	began := time.Now()
	end, err := writeAll(ctx, dir, o.series)
	if err != nil {
		return fmt.Errorf("write data: %w", err)
	}
	debug.FreeOSMemory() // the servers may have it
	fmt.Printf("data written in %.0f s\n", time.Since(began).Seconds())
	w, err := start(ctx, dir, end, o)
	if err != nil {
		return err
	}
	defer w.stop()
	fmt.Printf("%d clusters of %d series, one Prometheus that holds all of them, %d cores; %d turns, %d of large queries\n", clusters, o.series+len(slo())*instances*len(services()), runtime.NumCPU(), o.turns, o.large)
	t, err := measure(ctx, w, end, o)
	if err != nil {
		return err
	}
	if err := t.print(os.Stdout); err != nil {
		return err
	}
	if o.hold {
		w.tell(os.Stdout, end)
		<-ctx.Done()
	}
	if o.check {
		return t.judge()
	}
	return nil
}
