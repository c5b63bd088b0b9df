package federation

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

const (
	// pastTTL is how long it is believed that the past of a server is as it was.
	pastTTL = 15 * time.Second
	// maxPastBytes bounds each answer about it but the configuration.
	maxPastBytes = 4 << 20
	// pastMargin is how much older than what a server takes in samples must be
	// that do not change: for what was being written when it was asked.
	pastMargin = 10 * time.Minute

	// newestQuery is the time of a sample that the server has taken in lately.
	newestQuery = "max(timestamp(up))"
)

// past is what is known of the samples that a server has.
type past struct {
	known bool
	until int64  // no sample up to then, in Unix milliseconds, will come
	epoch uint64 // when it is another one, some came or went all the same
}

// history finds out what is past.
type history struct {
	settled time.Duration // as configured; 0: the server is asked
	belief  *belief[past]

	// Of the one that asks.
	last  *telling
	epoch uint64
}

// pastOf returns what is known of the samples of a server. Where it does not
// say when its past is over, nothing is.
func (c *cache) pastOf(ctx context.Context, r *replica) past {
	h := c.histories[r]
	if h.settled > 0 {
		return past{known: true, until: time.Now().Add(-h.settled).UnixMilli()}
	}
	p, err := h.belief.get(ctx, func(ctx context.Context) (past, error) {
		within, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		t, ok := r.askTelling(within)
		if !ok {
			return past{}, ctx.Err() // else it is not asked again for a while
		}
		return h.take(t, func(from int64, epoch uint64) { c.forget(r, from, epoch) }), nil
	})
	if err != nil {
		return past{}
	}
	return p
}

// take takes in what a server tells. What has changed since it told the last
// time is to be forgotten.
func (h *history) take(t *telling, forget func(from int64, epoch uint64)) past {
	if from, changed := t.changed(h.last); changed {
		h.epoch++
		forget(from, h.epoch)
	}
	h.last = t
	return past{known: true, until: t.until(), epoch: h.epoch}
}

// telling is what a server tells of its past.
type telling struct {
	started, configured string // when
	span                time.Duration
	outOfOrder          time.Duration
	newest              int64            // time of a sample that it has
	sources             map[string]int64 // of its blocks, with the block's oldest time
}

// until returns the time up to which the server takes in no samples any more:
// none that is older than the newest by half of what it holds in memory, and,
// where out-of-order samples may come, none that is older by their window.
func (t *telling) until() int64 {
	return t.newest - (max(t.span/2, t.outOfOrder) + pastMargin).Milliseconds()
}

// changed returns since what time the samples are not those that were told of
// before.
func (t *telling) changed(before *telling) (from int64, changed bool) {
	if before == nil {
		return 0, false
	}
	if t.started != before.started || t.configured != before.configured || t.span != before.span || t.outOfOrder != before.outOfOrder {
		return anytime, true
	}
	for id := range before.sources {
		if _, there := t.sources[id]; !there {
			return anytime, true
		}
	}
	from = math.MaxInt64
	for id, oldest := range t.sources {
		if _, known := before.sources[id]; !known {
			from = min(from, oldest)
		}
	}
	return from, from < math.MaxInt64
}

// askTelling asks a server for its past. It is false when the server does not
// tell all of it, or when somebody may delete series.
func (r *replica) askTelling(ctx context.Context) (*telling, bool) {
	t := &telling{sources: map[string]int64{}}
	var ok [5]bool
	var asking sync.WaitGroup
	for i, ask := range []func(context.Context, *telling) bool{
		r.tellRuntime, r.tellFlags, r.tellConfiguration, r.tellBlocks, r.tellNewest,
	} {
		asking.Go(func() { ok[i] = ask(ctx, t) })
	}
	asking.Wait()
	return t, ok == [5]bool{true, true, true, true, true}
}

func (r *replica) tellRuntime(ctx context.Context, t *telling) bool {
	var answer struct {
		Data struct {
			StartTime      string `json:"startTime"`
			LastConfigTime string `json:"lastConfigTime"`
		} `json:"data"`
	}
	ok := r.tells(ctx, "status/runtimeinfo", nil, maxPastBytes, &answer)
	t.started, t.configured = answer.Data.StartTime, answer.Data.LastConfigTime
	return ok && t.started != "" && t.configured != ""
}

func (r *replica) tellFlags(ctx context.Context, t *telling) bool {
	var answer struct {
		Data map[string]string `json:"data"`
	}
	ok := r.tells(ctx, "status/flags", nil, maxPastBytes, &answer)
	span, err := model.ParseDuration(answer.Data["storage.tsdb.min-block-duration"])
	t.span = time.Duration(span)
	return ok && err == nil && span > 0 && answer.Data["web.enable-admin-api"] == "false"
}

func (r *replica) tellConfiguration(ctx context.Context, t *telling) bool {
	var answer struct {
		Data struct {
			YAML string `json:"yaml"`
		} `json:"data"`
	}
	var config struct {
		Global  *struct{} `yaml:"global"`
		Storage struct {
			TSDB struct {
				Window model.Duration `yaml:"out_of_order_time_window"`
			} `yaml:"tsdb"`
		} `yaml:"storage"`
	}
	ok := r.tells(ctx, "status/config", nil, maxConfigBytes, &answer) && yaml.Unmarshal([]byte(answer.Data.YAML), &config) == nil
	t.outOfOrder = time.Duration(config.Storage.TSDB.Window)
	return ok && config.Global != nil && t.outOfOrder >= 0
}

func (r *replica) tellBlocks(ctx context.Context, t *telling) bool {
	var answer struct {
		Data struct {
			Blocks json.RawMessage `json:"blocks"` // null when there are none
		} `json:"data"`
	}
	var blocks []struct {
		ULID       string `json:"ulid"`
		MinTime    int64  `json:"minTime"`
		Compaction struct {
			Sources []string `json:"sources"`
		} `json:"compaction"`
	}
	if !r.tells(ctx, "status/tsdb/blocks", nil, maxPastBytes, &answer) || json.Unmarshal(answer.Data.Blocks, &blocks) != nil {
		return false
	}
	for _, b := range blocks {
		sources := b.Compaction.Sources // those of a compacted block are what it was made of
		if len(sources) == 0 {
			sources = []string{b.ULID}
		}
		for _, id := range sources {
			if oldest, twice := t.sources[id]; !twice || b.MinTime < oldest {
				t.sources[id] = b.MinTime
			}
		}
	}
	return true
}

func (r *replica) tellNewest(ctx context.Context, t *telling) bool {
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	if !r.tells(ctx, "query", url.Values{"query": {newestQuery}}, maxPastBytes, &answer) || len(answer.Data.Result) != 1 {
		return false
	}
	text, _ := answer.Data.Result[0].Value[1].(string)
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(math.Abs(seconds) < math.MaxInt64/2000) {
		return false
	}
	t.newest = int64(seconds * 1000)
	return true
}

// tells reads an answer about the server, and is false when there is none.
func (r *replica) tells(ctx context.Context, path string, form url.Values, limit int64, into any) bool {
	return r.readAnswer(ctx, path, form, limit, into) == nil
}

func (r *replica) readAnswer(ctx context.Context, path string, form url.Values, limit int64, into any) error {
	resp, err := r.ask(ctx, path, form)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	return nil
}
