package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"golang.org/x/sync/errgroup"
)

// How often series are sampled, how far back those of SLOs go and those of
// the large metric, and how many instances a service has in each cluster.
const (
	every     = 15 * time.Second
	reach     = 6*time.Hour + 10*time.Minute
	largePast = 20 * time.Minute
	instances = 4
)

func clusterName(i int) string { return []string{"hangzhou", "beijing", "singapore"}[i] }

// services are those that have SLOs.
func services() []string {
	return []string{"cart", "catalog", "checkout", "gateway", "login", "orders", "payment", "search"}
}

// counter is a series of each instance of a service.
type counter struct {
	name, label, value string
	perSecond          float64
}

// slo returns what SLOs count: requests by code, and a histogram of latency.
func slo() []counter {
	const requests, latency = "http_requests_total", "http_request_duration_seconds_bucket"
	all := []counter{{requests, "code", "200", 40}, {requests, "code", "500", 0.3}}
	for i, le := range []string{"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "+Inf"} {
		all = append(all, counter{latency, "le", le, 4 * float64(i+1)})
	}
	return all
}

// each calls with every series of a cluster, in an order that is always the
// same, and with how far back it goes. The cluster's label is set where it is
// not empty.
func each(cluster, large int, label string, add func(ls labels.Labels, past time.Duration, perSecond float64) error) error {
	b := labels.NewScratchBuilder(8)
	series := func(past time.Duration, perSecond float64, pairs ...string) error {
		b.Reset()
		for i := 0; i < len(pairs); i += 2 {
			b.Add(pairs[i], pairs[i+1])
		}
		if label != "" {
			b.Add("cluster", label)
		}
		b.Sort()
		return add(b.Labels(), past, perSecond)
	}
	for _, service := range services() {
		for i := range instances {
			instance := fmt.Sprintf("10.%d.0.%d:8080", cluster, i)
			for _, c := range slo() {
				if err := series(reach, c.perSecond, model.MetricNameLabel, c.name, "job", "shop", "service", service, "instance", instance, c.label, c.value); err != nil {
					return err
				}
			}
		}
	}
	const perService = 300
	for i := range large {
		service := i / perService
		err := series(largePast, 5, model.MetricNameLabel, "container_network_receive_bytes_total", "job", "cadvisor", "service", fmt.Sprintf("service-%03d", service),
			"namespace", fmt.Sprintf("team-%02d", service%20), "pod", fmt.Sprintf("service-%03d-%05x", service, i*7919+cluster), "instance", fmt.Sprintf("10.%d.1.%d:10250", cluster, i%60))
		if err != nil {
			return err
		}
	}
	return nil
}

// writeAll writes the data of each cluster, and of the Prometheus that holds
// all of them, and returns when it ends. Data that is there is left as it is.
func writeAll(ctx context.Context, dir string, large int) (time.Time, error) {
	mark := filepath.Join(dir, "end")
	if text, err := os.ReadFile(mark); err == nil {
		seconds, err := strconv.ParseInt(string(text), 10, 64)
		return time.Unix(seconds, 0), err
	} else if !errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, err
	}
	end := time.Now().Truncate(every)
	group, ctx := errgroup.WithContext(ctx)
	all := []int{}
	for i := range clusters {
		all = append(all, i)
		group.Go(func() error {
			return write(ctx, filepath.Join(dir, clusterName(i), "data"), []int{i}, large, false, end)
		})
	}
	group.Go(func() error { return write(ctx, filepath.Join(dir, "reference", "data"), all, large, true, end) })
	if err := group.Wait(); err != nil {
		return end, err
	}
	return end, os.WriteFile(mark, strconv.AppendInt(nil, end.Unix(), 10), 0o644)
}

// write writes series into the write-ahead log of a Prometheus, whose head
// then holds them as it does what it scraped of late.
func write(ctx context.Context, dir string, of []int, large int, labelled bool, end time.Time) (err error) {
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (24 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, options, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.DisableCompactions()
	for _, cluster := range of {
		label := ""
		if labelled {
			label = clusterName(cluster)
		}
		w := writer{db: db, end: end, random: rand.New(rand.NewPCG(1, uint64(cluster)))}
		if err := each(cluster, large, label, func(ls labels.Labels, past time.Duration, perSecond float64) error {
			return w.series(ctx, ls, past, perSecond)
		}); err != nil {
			return err
		}
		if err := w.commit(); err != nil {
			return err
		}
	}
	return nil
}

// writer appends series, and commits now and then.
type writer struct {
	db     *tsdb.DB
	end    time.Time
	random *rand.Rand
	app    storage.Appender
	held   int // samples that are not committed
}

// series appends a counter that goes up by about so much a second.
func (w *writer) series(ctx context.Context, ls labels.Labels, past time.Duration, perSecond float64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.app == nil {
		w.app = w.db.Appender(ctx)
	}
	const most = 20_000
	value := float64(w.random.IntN(1_000_000))
	var ref storage.SeriesRef
	for at := w.end.Add(-past); !at.After(w.end); at = at.Add(every) {
		value += float64(int(perSecond * every.Seconds() * 2 * w.random.Float64()))
		var err error
		if ref, err = w.app.Append(ref, ls, at.UnixMilli(), value); err != nil {
			return fmt.Errorf("%s at %s: %w", ls, at, err)
		}
		w.held++
	}
	if w.held >= most {
		return w.commit()
	}
	return nil
}

func (w *writer) commit() error {
	if w.app == nil {
		return nil
	}
	err := w.app.Commit()
	w.app, w.held = nil, 0
	return err
}
