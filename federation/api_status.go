package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/util/annotations"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

const (
	// apiVersion is the version of Prometheus whose API this is: that of the
	// library.
	apiVersion = "3.15.0"

	maxTopLimit = 10_000 // as Prometheus bounds it
	// topMargin is how much longer the lists are that clusters are asked for:
	// what is near the top in several of them can be at the top of all.
	topMargin = 10
)

// clusterStatus is Prometheus' status of its TSDB, and series by cluster.
type clusterStatus struct {
	v1.TSDBStatus
	SeriesCountByCluster []v1.TSDBStat `json:"seriesCountByCluster"`
}

// tsdbStatus answers with the sums of what the clusters' heads hold, and what
// of it is most. A request that is bound sees clusters of which it sees all.
func (f *Federation) tsdbStatus(r *http.Request) (any, annotations.Annotations, error) {
	limit := 10
	if text := r.FormValue("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return nil, nil, badData(errors.New("limit must be a positive number"))
		}
		if limit > maxTopLimit {
			return nil, nil, badData(fmt.Errorf("limit must not exceed %d", maxTopLimit))
		}
	}
	ctx := r.Context()
	open := func(c *cluster) bool { return c.open(ctx) }
	if !slices.ContainsFunc(f.clusters, open) {
		return nil, nil, errForbidden
	}
	s := f.survey(ctx)
	form := url.Values{"limit": {strconv.Itoa(min(limit*topMargin, maxTopLimit))}}
	answers, err := each(ctx, s, open, func(ctx context.Context, c *cluster) ([]headOf, error) {
		found, err := put[v1.TSDBStatus](ctx, s, c, question{"status/tsdb", form})
		if err != nil {
			return nil, err
		}
		largest := slices.MaxFunc(found, func(a, b v1.TSDBStatus) int { return cmp.Compare(a.HeadStats.NumSeries, b.HeadStats.NumSeries) })
		return []headOf{{c, largest}}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return mergeHeads(slices.Concat(answers...), limit), s.notes(), nil
}

// headOf is what the head of a cluster holds: that of its largest replica.
type headOf struct {
	cluster *cluster
	status  v1.TSDBStatus
}

// mergeHeads adds up what several heads hold.
func mergeHeads(heads []headOf, limit int) clusterStatus {
	var out clusterStatus
	metrics, names, memory, pairs, clusters := tops{}, tops{}, tops{}, tops{}, tops{}
	for i, h := range heads {
		stats := h.status.HeadStats
		out.HeadStats.NumSeries += stats.NumSeries
		out.HeadStats.NumLabelPairs += stats.NumLabelPairs
		out.HeadStats.ChunkCount += stats.ChunkCount
		if i == 0 || stats.MinTime < out.HeadStats.MinTime {
			out.HeadStats.MinTime = stats.MinTime
		}
		out.HeadStats.MaxTime = max(out.HeadStats.MaxTime, stats.MaxTime)
		metrics.add(h.status.SeriesCountByMetricName)
		names.add(h.status.LabelValueCountByLabelName)
		memory.add(h.status.MemoryInBytesByLabelName)
		pairs.add(h.status.SeriesCountByLabelValuePair)
		clusters[h.cluster.name] = stats.NumSeries
		for name, value := range h.cluster.external {
			pairs[name+"="+value] += stats.NumSeries
		}
	}
	out.SeriesCountByMetricName, out.LabelValueCountByLabelName = metrics.top(limit), names.top(limit)
	out.MemoryInBytesByLabelName, out.SeriesCountByLabelValuePair = memory.top(limit), pairs.top(limit)
	out.SeriesCountByCluster = clusters.top(len(heads))
	return out
}

// tops adds up lists of what is most.
type tops map[string]uint64

func (t tops) add(list []v1.TSDBStat) {
	for _, one := range list {
		t[one.Name] += one.Value
	}
}

// top returns the largest, largest first.
func (t tops) top(limit int) []v1.TSDBStat {
	out := make([]v1.TSDBStat, 0, len(t))
	for name, value := range t {
		out = append(out, v1.TSDBStat{Name: name, Value: value})
	}
	slices.SortFunc(out, func(a, b v1.TSDBStat) int {
		return cmp.Or(cmp.Compare(b.Value, a.Value), cmp.Compare(a.Name, b.Name))
	})
	return out[:min(limit, len(out))]
}

// buildInfo says whose API this is, by which clients know what they may ask.
func buildInfo(*http.Request) (any, annotations.Annotations, error) {
	return v1.PrometheusVersion{Version: apiVersion, GoVersion: runtime.Version()}, nil, nil
}

// runtimeInfo is of this process, whose federation was started at a time.
func runtimeInfo(started time.Time) endpoint {
	return func(*http.Request) (any, annotations.Annotations, error) {
		host, err := os.Hostname()
		if err != nil {
			host = ""
		}
		return v1.RuntimeInfo{
			StartTime: started, LastConfigTime: started, ServerTime: time.Now().UTC(), Hostname: host, ReloadConfigSuccess: true,
			GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), GOMEMLIMIT: debug.SetMemoryLimit(-1),
			GOGC: os.Getenv("GOGC"), GODEBUG: os.Getenv("GODEBUG"),
		}, nil, nil
	}
}

// flags are those of Prometheus that mean something here.
func (f *Federation) flags(*http.Request) (any, annotations.Annotations, error) {
	return map[string]string{
		"query.lookback-delta":  f.config.LookbackDelta.String(),
		"query.max-concurrency": strconv.Itoa(f.config.MaxQueries),
		"query.max-samples":     strconv.Itoa(f.config.MaxSamples),
		"query.timeout":         f.config.QueryTimeout.String(),
	}, nil, nil
}

// configuration is that of a Prometheus without external labels: every series
// here has its cluster's already.
func configuration(*http.Request) (any, annotations.Annotations, error) {
	return map[string]string{"yaml": (config.Config{}).String()}, nil, nil
}

// alertmanagers answers with those that the clusters send alerts to.
func (f *Federation) alertmanagers(r *http.Request) (any, annotations.Annotations, error) {
	ctx := r.Context()
	s := f.survey(ctx)
	answers, err := each(ctx, s, func(c *cluster) bool { return c.open(ctx) }, func(ctx context.Context, c *cluster) ([]v1.AlertmanagerDiscovery, error) {
		return put[v1.AlertmanagerDiscovery](ctx, s, c, question{"alertmanagers", nil})
	})
	if err != nil {
		return nil, nil, err
	}
	active, dropped := map[string]bool{}, map[string]bool{}
	for _, one := range slices.Concat(answers...) {
		addresses(active, one.ActiveAlertmanagers)
		addresses(dropped, one.DroppedAlertmanagers)
	}
	return &v1.AlertmanagerDiscovery{ActiveAlertmanagers: alertmanagersAt(active), DroppedAlertmanagers: alertmanagersAt(dropped)}, s.notes(), nil
}

func addresses(into map[string]bool, list []*v1.AlertmanagerTarget) {
	for _, one := range list {
		if one == nil {
			continue
		}
		if u, err := url.Parse(one.URL); err == nil {
			into[u.Redacted()] = true
		}
	}
}

func alertmanagersAt(at map[string]bool) []*v1.AlertmanagerTarget {
	out := make([]*v1.AlertmanagerTarget, 0, len(at))
	for _, address := range slices.Sorted(maps.Keys(at)) {
		out = append(out, &v1.AlertmanagerTarget{URL: address})
	}
	return out
}
