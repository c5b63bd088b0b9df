package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// value is what every series of a metric says: 100 events a second, of which
// one in ten thousand fails, of every thousandth SLO one in fifty.
func value(metric string, i int) float64 {
	switch {
	case strings.Contains(metric, "total"):
		return 100
	case i%1000 == 0:
		return 2
	default:
		return 0.01
	}
}

type appendable interface {
	Appender(ctx context.Context) storage.Appender
}

// appendReads appends the samples of all SLOs that the reads hold.
func appendReads(to appendable, reads []read, slos int, now time.Time) error {
	times := map[string][]int64{}
	for _, r := range reads {
		for t := now.Add(-r.from).Truncate(r.every); t.Before(now.Add(-r.to)); t = t.Add(r.every) {
			times[r.metric] = append(times[r.metric], t.UnixMilli())
		}
	}
	for metric, at := range times {
		slices.Sort(at)
		at = slices.Compact(at)
		for first := 0; first < slos; first += 100 {
			app := to.Appender(context.Background())
			for i := first; i < min(first+100, slos); i++ {
				service, name := identity(i)
				ls := labels.FromStrings(model.MetricNameLabel, metric, "service", service, "slo", name)
				var ref storage.SeriesRef
				for _, t := range at {
					var err error
					if ref, err = app.Append(ref, ls, t, value(metric, i)); err != nil {
						return fmt.Errorf("%s at %s: %w", ls, time.UnixMilli(t), err)
					}
				}
			}
			if err := app.Commit(); err != nil {
				return err
			}
		}
	}
	return nil
}

// shards is how many targets the event series are scraped from: Prometheus
// spreads them over a cycle, as it does the rules that make such series.
const shards = 20

// exporter answers with the event series of all SLOs, a share of them at each
// of the paths /0 to /19.
func exporter(metrics []string, slos int) http.Handler {
	mux := http.NewServeMux()
	for shard := range shards {
		var b strings.Builder
		for _, metric := range metrics {
			for i := shard; i < slos; i += shards {
				service, name := identity(i)
				fmt.Fprintf(&b, "%s{service=%q,slo=%q} %g\n", metric, service, name, value(metric, i))
			}
		}
		text := b.String()
		mux.HandleFunc(fmt.Sprintf("/%d", shard), func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4")
			_, _ = w.Write([]byte(text)) // who went away scrapes again
		})
	}
	return mux
}

// targets returns the paths of an exporter as Prometheus is configured.
func targets(address string) string {
	var b strings.Builder
	for shard := range shards {
		fmt.Fprintf(&b, "      - {targets: ['%s'], labels: {__metrics_path__: /%d}}\n", address, shard)
	}
	return b.String()
}
