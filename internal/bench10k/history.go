package main

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
	"go.yaml.in/yaml/v3"
)

// read is the history of a recorded metric that some rule reads.
type read struct {
	metric   string
	from, to time.Duration // before now
	every    time.Duration // how often it is recorded
}

// keepRules copies the compiled rules without those of event series, which
// are given, and returns what they read of the past.
func keepRules(from, to string) ([]read, error) {
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return nil, err
	}
	every, exprs := map[string]time.Duration{}, map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var f rulefmt.RuleGroups
		if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&f); err != nil {
			return nil, err
		}
		f.Groups = slices.DeleteFunc(f.Groups, func(g rulefmt.RuleGroup) bool {
			return strings.Contains(g.Name, "-events/") || strings.Contains(g.Name, "-short/")
		})
		for _, g := range f.Groups {
			if strings.Contains(g.Name, "-parameters") {
				continue
			}
			for _, r := range g.Rules {
				every[r.Record] = time.Duration(g.Interval)
				exprs[r.Expr] = true
			}
		}
		if text, err = yaml.Marshal(f); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), text, 0o644); err != nil {
			return nil, err
		}
	}
	return past(exprs, every)
}

// past returns what expressions read of recorded event series before now.
func past(exprs map[string]bool, every map[string]time.Duration) ([]read, error) {
	reads := map[read]bool{}
	for expr := range exprs {
		tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
		if err != nil {
			return nil, err
		}
		parser.Inspect(tree, func(n parser.Node, parents []parser.Node) error {
			vs, ok := n.(*parser.VectorSelector)
			if !ok || !strings.HasPrefix(vs.Name, "slo:sli_") {
				return nil
			}
			reach := 5 * time.Minute
			if m, ok := parents[len(parents)-1].(*parser.MatrixSelector); ok {
				reach = m.Range
			} else if vs.OriginalOffset == 0 {
				return nil
			}
			interval, ok := every[vs.Name]
			if !ok {
				interval = cycle // an event series
			}
			reads[read{metric: vs.Name, from: vs.OriginalOffset + reach, to: vs.OriginalOffset, every: interval}] = true
			return nil
		})
	}
	return slices.Collect(maps.Keys(reads)), nil
}

// writeHistory writes what rules read from now on for as long as the bench
// runs, and half a chunk before it, which Prometheus reads on the way. The
// newest two hours are in the write-ahead log, all else in blocks.
func writeHistory(ctx context.Context, dir string, reads []read, o options, now time.Time) error {
	const head = 2 * time.Hour
	last := o.warm + o.measure + 5*time.Minute
	var newest []read
	older := map[int64][]read{} // by the six hours that they end in
	for _, r := range reads {
		r.from, r.to = r.from+60*r.every, max(0, r.to-last)
		if r.from <= head {
			newest = append(newest, r)
			continue
		}
		r.to = max(r.to, time.Minute)
		older[int64(r.to/(6*time.Hour))] = append(older[int64(r.to/(6*time.Hour))], r)
	}
	for _, block := range older {
		if err := writeBlock(ctx, dir, block, o.slos, now); err != nil {
			return err
		}
	}
	options := tsdb.DefaultOptions()
	options.MinBlockDuration = (24 * time.Hour).Milliseconds()
	options.MaxBlockDuration = options.MinBlockDuration
	db, err := tsdb.Open(dir, slog.New(slog.DiscardHandler), nil, options, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	db.DisableCompactions()
	return appendReads(db.Head(), newest, o.slos, now)
}

func writeBlock(ctx context.Context, dir string, reads []read, slos int, now time.Time) error {
	w, err := tsdb.NewBlockWriter(slog.New(slog.DiscardHandler), dir, (24 * 365 * time.Hour).Milliseconds())
	if err != nil {
		return err
	}
	defer w.Close()
	if err := appendReads(w, reads, slos, now); err != nil {
		return err
	}
	_, err = w.Flush(ctx)
	return err
}
