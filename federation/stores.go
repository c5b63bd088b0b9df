package federation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

const (
	maxStoresBytes = 8 << 20
	// maxStoreSets bounds the label sets of a Thanos that are remembered.
	maxStoreSets = 10_000
	// storeKept is how long it is remembered of which labels there was a store.
	storeKept = 24 * time.Hour
)

// stores is what a Thanos has said of its stores. One that it does not reach
// it leaves out of its answers, even where they are not to be partial, and of
// its list some minutes later.
type stores struct {
	mu    sync.Mutex
	seen  map[string]storeSet // by key
	doubt string              // what the last probe found to lack
}

func (s *stores) inherit(from *stores) {
	from.mu.Lock()
	defer from.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.doubt = maps.Clone(from.seen), from.doubt
}

// storeSet is one set of labels that a store has data of.
type storeSet struct {
	kind   string // such as sidecar
	labels labels.Labels
	window span      // of the data
	at     time.Time // when it was listed
}

// key leaves out addresses: those change with restarts.
func (s storeSet) key() string { return s.kind + s.labels.String() }

// stands tells whether the data of s are another replica's of what o has.
func (s storeSet) stands(o storeSet, replicas []string) bool {
	bare := func(set labels.Labels) labels.Labels { return labels.NewBuilder(set).Del(replicas...).Labels() }
	return s.kind == o.kind && !labels.Equal(s.labels, o.labels) && labels.Equal(bare(s.labels), bare(o.labels))
}

// storeList is what Thanos answers to /api/v1/stores.
type storeList struct {
	working, failing []storeSet
}

func parseStores(body []byte, now time.Time) (storeList, error) {
	var (
		out    storeList
		answer struct {
			Status string `json:"status"`
			Data   map[string][]struct {
				LastError *string             `json:"lastError"`
				LabelSets []map[string]string `json:"labelSets"`
				MinTime   int64               `json:"minTime"`
				MaxTime   int64               `json:"maxTime"`
			} `json:"data"`
		}
	)
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return out, brokenError("not what Thanos says of its stores")
	}
	for kind, all := range answer.Data {
		for _, one := range all {
			into := &out.working
			if one.LastError != nil {
				into = &out.failing
			}
			if len(one.LabelSets) == 0 {
				one.LabelSets = []map[string]string{nil}
			}
			for _, set := range one.LabelSets {
				*into = append(*into, storeSet{kind, labels.FromMap(set), span{one.MinTime, one.MaxTime}, now})
			}
		}
	}
	if len(out.working)+len(out.failing) > maxStoreSets {
		return storeList{}, brokenError("too many stores")
	}
	return out, nil
}

// take takes in a list. It returns the sets of which a store is not reached,
// or of which there was one and is none any more, and how many sets there are.
func (s *stores) take(list storeList, now time.Time) (lacking []storeSet, all int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil || len(s.seen) > maxStoreSets {
		s.seen = map[string]storeSet{}
	}
	gone := maps.Clone(s.seen)
	failing := map[string]storeSet{}
	for _, one := range list.failing {
		failing[one.key()] = one
		s.seen[one.key()] = one
		delete(gone, one.key())
	}
	for _, one := range list.working {
		s.seen[one.key()] = one
		delete(gone, one.key())
	}
	for key, one := range gone {
		if now.Sub(one.at) > storeKept {
			delete(s.seen, key)
			delete(gone, key)
		}
	}
	return slices.AppendSeq(slices.Collect(maps.Values(failing)), maps.Values(gone)), len(s.seen)
}

// lacks asks a Thanos, after it answered, which of its stores that answer is
// without. The text says for people what may be missing of a time; it is empty
// where nothing is, or the server has no such stores.
func (r *replica) lacks(ctx context.Context, t span, replicas []string) string {
	if b, _ := r.is.last(); b.kind != thanosKind {
		return ""
	}
	list, err := r.askStores(ctx)
	switch {
	case notServed(err):
		return ""
	case err != nil:
		return "it does not tell whether it reaches all of its stores"
	}
	lacking, all := r.stores.take(list, time.Now())
	lacking = slices.DeleteFunc(lacking, func(one storeSet) bool {
		return one.window.from > t.to || one.window.to < t.from ||
			slices.ContainsFunc(list.working, func(other storeSet) bool { return other.stands(one, replicas) })
	})
	if len(lacking) == 0 {
		return ""
	}
	return fmt.Sprintf("it does not reach all of its stores, which have data of %d of its %d sets of external labels", len(lacking), all)
}

// probeStores finds out which stores a Thanos has, and what it lacks of late.
func (c *cluster) probeStores(ctx context.Context, r *replica) {
	text := r.lacks(ctx, day(time.Now()), slices.Collect(maps.Keys(c.dropped)))
	r.stores.mu.Lock()
	defer r.stores.mu.Unlock()
	r.stores.doubt = text
}

// doubted returns what the last probe found to lack.
func (s *stores) doubted() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubt
}

func (r *replica) askStores(ctx context.Context) (storeList, error) {
	resp, err := r.get(ctx, "stores")
	if err != nil {
		return storeList{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return storeList{}, statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxStoresBytes))
	if err != nil {
		return storeList{}, fmt.Errorf("read answer: %w", err)
	}
	return parseStores(body, time.Now())
}

// ever is all time.
func ever() span { return span{math.MinInt64, math.MaxInt64} }

// reaches tells whether a server, which has just answered, lacked no store.
func (c *cluster) reaches(ctx context.Context, r *replica) bool {
	return r.lacks(ctx, ever(), slices.Collect(maps.Keys(c.dropped))) == ""
}

// vouch tells what the answer of a server to a question about a time is known
// to lack.
func (c *cluster) vouch(ctx context.Context, r *replica, t span, tell func(cluster, text string)) {
	if tell == nil {
		return
	}
	if text := r.lacks(ctx, t, slices.Collect(maps.Keys(c.dropped))); text != "" {
		tell(c.name, text)
	}
}
