package shop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The levels of the shop's log lines.
const (
	levelInfo  = "INFO"
	levelWarn  = "WARN"
	levelError = "ERROR"
)

// line is one log line, as the services write it.
type line struct {
	Timestamp string `json:"timestamp"`
	Level     string `json:"level"`
	TraceID   string `json:"traceId"`
	SpanID    string `json:"spanId"`
	Service   string `json:"service"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Node      string `json:"node"`
	Message   string `json:"message"`
	ErrorCode string `json:"errorCode,omitempty"`
}

// keepLines is how many lines wait for Loki at most; the oldest go first.
const keepLines = 50_000

// shipper sends log lines to Loki in batches, as an agent on the node would.
type shipper struct {
	url     string // of Loki; "" keeps nothing
	cluster string
	client  *http.Client
	logger  *slog.Logger

	mu      sync.Mutex
	waiting []entry
}

type entry struct {
	at    time.Time
	app   string
	level string
	text  string
}

// stream is one of the streams of Loki's push API.
type stream struct {
	Stream map[string]string `json:"stream"`
	Values [][2]string       `json:"values"`
}

func (s *shipper) add(at time.Time, l line) {
	if s.url == "" {
		return
	}
	b, err := json.Marshal(l)
	if err != nil {
		s.logger.Error("log line is not JSON", "err", err)
		return
	}
	s.put([]entry{{at: at, app: l.Service, level: l.Level, text: string(b)}})
}

// put appends entries, and lets the oldest go when there are too many.
func (s *shipper) put(entries []entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, entries...)
	if n := len(s.waiting) - keepLines; n > 0 {
		s.waiting = s.waiting[n:]
	}
}

func (s *shipper) take() []entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.waiting
	s.waiting = nil
	return batch
}

// run sends what has been added, each second, until ctx ends.
func (s *shipper) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	reached := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		batch := s.take()
		if len(batch) == 0 {
			continue
		}
		err := s.push(ctx, batch)
		if err != nil {
			s.put(batch)
		}
		if ok := err == nil; ok != reached {
			s.logger.Info("log lines reach loki", "ok", ok, "err", err)
			reached = ok
		}
	}
}

func (s *shipper) push(ctx context.Context, batch []entry) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	body, err := json.Marshal(map[string][]*stream{"streams": s.streams(batch)})
	if err != nil {
		return fmt.Errorf("push logs: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("push logs: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("push logs: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500))
		return fmt.Errorf("push logs: %s: %s", resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

// streams groups a batch by the few labels that Loki indexes.
func (s *shipper) streams(batch []entry) []*stream {
	byLabels := map[[2]string]*stream{}
	var all []*stream
	for _, e := range batch {
		key := [2]string{e.app, e.level}
		if byLabels[key] == nil {
			byLabels[key] = &stream{Stream: map[string]string{
				"cluster": s.cluster, "namespace": namespace, "app": e.app, "container": e.app, "level": e.level,
			}}
			all = append(all, byLabels[key])
		}
		byLabels[key].Values = append(byLabels[key].Values, [2]string{strconv.FormatInt(e.at.UnixNano(), 10), e.text})
	}
	return all
}
