package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// row is a query that is measured, and what it may cost.
type row struct {
	title, query   string
	large          bool
	asked          float64 // times what one Prometheus takes
	floor          bool    // times the floor instead
	promxy, thanos string  // times one Prometheus, as they were measured elsewhere
}

func rows() []row {
	const failed, all = `sum(rate(http_requests_total{service="checkout",code=~"5.."}[%[1]s]))`, `sum(rate(http_requests_total{service="checkout"}[%[1]s]))`
	burning := func(window, above string) string {
		return fmt.Sprintf("("+failed+" / "+all+" > %[2]s * 0.001)", window, above)
	}
	return []row{
		{title: "sum(rate) by service", query: `sum by (service) (rate(http_requests_total[5m]))`, asked: 2, promxy: "4.6", thanos: "2.6"},
		{
			title: "burn rates, four ratios", asked: 3, promxy: "7-10", thanos: "3.3",
			query: "(" + burning("5m", "2") + " and " + burning("1h", "2") + ") or (" + burning("30m", "1") + " and " + burning("6h", "1") + ")",
		},
		{
			title: "histogram_quantile(sum(rate))", asked: 1.5, promxy: "1.7", thanos: "2.6",
			query: `histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m])))`,
		},
		{title: "sum by (rate), large", large: true, query: `sum by (service) (rate(container_network_receive_bytes_total[5m]))`, asked: 1.15, floor: true, promxy: "0.6", thanos: "> 1"},
		{title: "quantile by (rate), large", large: true, query: `quantile by (service) (0.9, rate(container_network_receive_bytes_total[5m]))`, asked: 1, promxy: "1.2", thanos: "2.6"},
	}
}

// maxMemory is what Midwatch may hold in the large runs, in MiB.
const maxMemory = 300

// subject is what answers a query: one server, or several that are asked at
// once.
type subject struct {
	name string
	urls []string
}

func (w *world) subjects() []subject {
	all := []subject{{onePrometheus, []string{w.reference}}, {floor, w.clusters}, {midwatch, []string{w.midwatch.url}}}
	if w.flat != nil {
		all = append(all, subject{flat, []string{w.flat.url}}, subject{distributed, []string{w.distributed.url}})
	}
	return all
}

const (
	onePrometheus = "one Prometheus"
	floor         = "floor"
	midwatch      = "Midwatch"
	flat          = "Thanos"
	distributed   = "Thanos, distributed"
)

// meter asks queries.
type meter struct {
	client *http.Client
	at     string
}

func newMeter(end time.Time) *meter {
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 2}
	return &meter{client: &http.Client{Transport: transport, Timeout: 2 * time.Minute}, at: strconv.FormatInt(end.Unix(), 10)}
}

// ask returns the answers of all servers of a subject, and how long it took
// until the last of them was read.
func (m *meter) ask(ctx context.Context, s subject, query string) ([][]byte, time.Duration, error) {
	bodies := make([][]byte, len(s.urls))
	group, ctx := errgroup.WithContext(ctx)
	began := time.Now()
	for i, u := range s.urls {
		group.Go(func() (err error) {
			bodies[i], err = m.post(ctx, u, query)
			return err
		})
	}
	err := group.Wait()
	took := time.Since(began)
	for _, b := range bodies {
		if err == nil && bytes.Contains(b[max(0, len(b)-1000):], []byte(`"warnings"`)) {
			err = fmt.Errorf("it warns: %s", b[max(0, len(b)-1000):])
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %s: %w", s.name, query, err)
	}
	return bodies, took, nil
}

func (m *meter) post(ctx context.Context, base, query string) ([]byte, error) {
	form := url.Values{"query": {query}, "time": {m.at}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/api/v1/query", strings.NewReader(form))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body[:min(len(body), 500)])
	}
	return body, err
}

// measure measures all rows, small ones first.
func measure(ctx context.Context, w *world, end time.Time, o options) (*table, error) {
	m := newMeter(end)
	defer m.client.CloseIdleConnections()
	t := &table{names: names(w.subjects()), memory: map[string]float64{}}
	counted := false
	for _, r := range rows() {
		if o.only != nil && !o.only.MatchString(r.title) {
			continue
		}
		if r.large && !counted {
			counted = true
			if err := w.forgetPeaks(); err != nil {
				return nil, err
			}
		}
		line, err := m.row(ctx, w.subjects(), r, o)
		if err != nil {
			return nil, err
		}
		t.lines = append(t.lines, line)
	}
	if counted {
		return t, w.readPeaks(t.memory)
	}
	return t, nil
}

// pause is the time before each large query: the garbage of one subject is not
// collected in the time of the next.
const pause = 150 * time.Millisecond

// row measures one query. In each turn every subject is asked once, in an
// order that is drawn.
func (m *meter) row(ctx context.Context, subjects []subject, r row, o options) (line, error) {
	l := line{row: r, took: map[string]time.Duration{}, differs: map[string]string{}}
	turns := o.turns
	if r.large {
		turns = o.large
	}
	if err := m.compare(ctx, subjects, &l); err != nil {
		return l, err
	}
	took := map[string][]time.Duration{}
	random := rand.New(rand.NewPCG(1, 2))
	for turn := range o.warm + turns {
		for _, i := range random.Perm(len(subjects)) {
			s := subjects[i]
			if err := wait(ctx, r.large); err != nil {
				return l, err
			}
			_, d, err := m.ask(ctx, s, r.query)
			if err != nil {
				return l, err
			}
			if turn >= o.warm {
				took[s.name] = append(took[s.name], d)
			}
		}
	}
	for name, all := range took {
		slices.Sort(all)
		l.took[name] = all[len(all)/2]
	}
	return l, nil
}

func wait(ctx context.Context, large bool) error {
	if !large {
		return ctx.Err()
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

func names(of []subject) (out []string) {
	for _, s := range of {
		out = append(out, s.name)
	}
	return out
}
