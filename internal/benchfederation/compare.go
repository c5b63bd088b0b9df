package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// compare sees that everybody who answers for all clusters gives what one
// Prometheus does. It is an error when Midwatch does not; of a peer it is
// noted.
func (m *meter) compare(ctx context.Context, subjects []subject, l *line) error {
	var want map[string]float64
	for _, s := range subjects {
		if len(s.urls) > 1 {
			continue
		}
		bodies, _, err := m.ask(ctx, s, l.query)
		if err != nil {
			return err
		}
		got, err := vector(bodies[0])
		if err != nil {
			return fmt.Errorf("%s: %s: %w", s.name, l.query, err)
		}
		if want == nil {
			want = got
			continue
		}
		difference := differs(got, want)
		if difference != "" && s.name == midwatch {
			return fmt.Errorf("%s: the answer is another than one Prometheus': %s", l.query, difference)
		}
		l.differs[s.name] = difference
	}
	return nil
}

// whole waits until a subject answers for every cluster: one that finds them
// by and by says sooner that it is ready.
func (m *meter) whole(ctx context.Context, s subject) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		bodies, _, err := m.ask(ctx, s, `group by (cluster) (http_requests_total)`)
		if err == nil {
			if found, err := vector(bodies[0]); err == nil && len(found) == clusters {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer for %d clusters: %w", s.name, clusters, errors.Join(ctx.Err(), err))
		case <-tick.C:
		}
	}
}

// vector reads the values of an answer by their labels.
func vector(body []byte) (map[string]float64, error) {
	var answer struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for _, s := range answer.Data.Result {
		var key strings.Builder
		for _, name := range slices.Sorted(maps.Keys(s.Metric)) {
			fmt.Fprintf(&key, "%s=%q,", name, s.Metric[name])
		}
		v, err := strconv.ParseFloat(fmt.Sprint(s.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		out[key.String()] = v
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("it is empty: %s", body[:min(len(body), 200)])
	}
	return out, nil
}

// differs tells in what an answer differs; "" in nothing but the last digits.
func differs(got, want map[string]float64) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d series, want %d", len(got), len(want))
	}
	for key, w := range want {
		g, ok := got[key]
		if !ok {
			return "no series {" + key + "}"
		}
		if math.Abs(g-w) > 1e-9*math.Abs(w) && !(math.IsNaN(g) && math.IsNaN(w)) {
			return fmt.Sprintf("{%s} is %g, want %g", key, g, w)
		}
	}
	return ""
}
