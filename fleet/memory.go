package fleet

import (
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

const (
	// totalsFile is the file of what clusters last had.
	totalsFile = "totals.json"
	// totalsEvery is how often it is written while no cluster goes.
	totalsEvery = 5 * time.Minute
)

// failedPrefix begins the names of the series that count failed events. Of a
// cluster that does not answer none are assumed.
const failedPrefix = "slo:sli_errors:"

// memory is what was last known of each cluster, by group: what an evaluation
// goes on when a cluster does not answer.
type memory struct {
	path string
	log  *slog.Logger

	mu    sync.Mutex
	known map[string]map[string][]promql.Series // by group and cluster
	gone  map[string][]string                   // by group: those that did not answer last
	went  bool                                  // one went since it was written

	written time.Time // only of the goroutine that writes
}

// total is a series as it is written.
type total struct {
	Labels labels.Labels     `json:"labels"`
	Value  model.SampleValue `json:"value"`
}

// newMemory reads what was known before a restart; nothing when that is not to
// be read.
func newMemory(dir string, log *slog.Logger) *memory {
	k := &memory{path: filepath.Join(dir, totalsFile), log: log, known: map[string]map[string][]promql.Series{}, gone: map[string][]string{}, written: time.Now()}
	var kept map[string]map[string][]total
	b, err := os.ReadFile(k.path)
	if err == nil {
		err = json.Unmarshal(b, &kept)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what clusters last had is not known", "err", err)
		return k
	}
	for group, clusters := range kept {
		k.known[group] = make(map[string][]promql.Series, len(clusters))
		for name, totals := range clusters {
			all := make([]promql.Series, len(totals))
			for i, one := range totals {
				all[i] = promql.Series{Metric: one.Labels, Floats: []promql.FPoint{{F: float64(one.Value)}}}
			}
			k.known[group][name] = all
		}
	}
	return k
}

// upkeep writes what is known when a cluster went, and now and then: it may go
// together with this process.
func (k *memory) upkeep(at time.Time) {
	k.mu.Lock()
	due := k.went || at.Sub(k.written) > totalsEvery
	k.mu.Unlock()
	if due {
		k.write(at)
	}
}

// write writes what is known.
func (k *memory) write(at time.Time) {
	k.mu.Lock()
	known := maps.Clone(k.known) // what it holds is replaced, never changed
	k.went = false
	k.mu.Unlock()
	kept := make(map[string]map[string][]total, len(known))
	for group, clusters := range known {
		kept[group] = make(map[string][]total, len(clusters))
		for name, all := range clusters {
			for _, s := range all {
				kept[group][name] = append(kept[group][name], total{Labels: s.Metric, Value: model.SampleValue(s.Floats[0].F)})
			}
		}
	}
	b, err := json.Marshal(kept)
	if err == nil {
		err = writeFile(k.path, b)
	}
	if err != nil {
		k.log.Warn("what clusters last had is not kept on disk", "err", err)
	}
	k.written = at
}

// keep forgets what is of none of the groups.
func (k *memory) keep(group map[string]bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	maps.DeleteFunc(k.known, func(name string, _ map[string][]promql.Series) bool { return !group[name] })
	maps.DeleteFunc(k.gone, func(name string, _ []string) bool { return !group[name] })
}

// complete keeps what the clusters that answered have, and adds what is known
// of those that did not: the events that they last had, of which none failed.
// What fires nevertheless would fire whatever these clusters have, unless they
// have become busier. The names are those of clusters of which nothing is known.
func (k *memory) complete(group string, members []Member, series []promql.Series, missing Missing, at int64) (all []promql.Series, unknown []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.known[group]
	now := make(map[string][]promql.Series, len(members))
	for _, s := range series {
		name := memberOf(members, s.Metric)
		now[name] = append(now[name], s)
	}
	for _, m := range members {
		if _, gone := missing[m.Name]; !gone {
			continue
		}
		known, ok := before[m.Name]
		if !ok {
			unknown = append(unknown, m.Name)
			continue
		}
		now[m.Name] = known
		series = append(series, assumed(known, at)...)
	}
	k.known[group] = now
	names := missing.names()
	k.went = k.went || len(names) > 0 && !slices.Equal(names, k.gone[group])
	k.gone[group] = names
	return series, unknown
}

// memberOf returns the cluster that a series is of, "" for none: that of whose
// labels it has all, and of several the one with the most.
func memberOf(members []Member, set labels.Labels) string {
	best, most := "", -1
	for _, m := range members {
		all := true
		for name, v := range m.Labels {
			all = all && set.Get(name) == v
		}
		if all && len(m.Labels) > most {
			best, most = m.Name, len(m.Labels)
		}
	}
	return best
}

// assumed returns series as they are assumed to go on.
func assumed(known []promql.Series, at int64) []promql.Series {
	out := make([]promql.Series, len(known))
	for i, s := range known {
		v := s.Floats[0].F
		if strings.HasPrefix(s.Metric.Get(model.MetricNameLabel), failedPrefix) {
			v = 0
		}
		out[i] = promql.Series{Metric: s.Metric, Floats: []promql.FPoint{{T: at, F: v}}}
	}
	return out
}
