// Package history writes the demo's past: 30 days of what scrapes would have
// found in a cluster and of what its rules would have recorded, as a TSDB
// block that Prometheus serves when it starts. It runs no server.
package history

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// Config says which past to write.
type Config struct {
	Dir     string // the data folder of a Prometheus that does not run
	Cluster traffic.Cluster
	Target  func(app string) map[string]string // labels that a scrape adds to a service's series
	End     time.Time                          // of the history, when the live servers begin
	Days    int                                // how long it is; 61 when 0: each of 30 days has 30 days before it
	Scrape  time.Duration                      // between samples of the last hours
	Groups  []rulefmt.RuleGroup                // the rules that Prometheus will evaluate
	Past    []rulefmt.RuleGroup                // the same rules for Coarse scrapes and evaluations
	Charts  []string                           // recorded names that people look at over 30 days
}

// Coarse is the time between samples, and between evaluations of rules, in
// all but the last hours. Ten seconds over sixty days would be of no use.
const Coarse = time.Minute

// recent is how long before the end samples come at the demo's own interval.
const recent = 2 * time.Hour

const month = 30 * 24 * time.Hour

func (c Config) begin() time.Time {
	return c.End.Add(-time.Duration(c.Days) * 24 * time.Hour)
}

// step is the time from the sample at t to the next.
func (c Config) step(t time.Time) time.Duration {
	if c.End.Sub(t) > recent {
		return Coarse
	}
	return c.Scrape
}

// Write writes the history, and returns what really happened in it.
func Write(ctx context.Context, c Config) (truth Truth, err error) {
	if c.Days == 0 {
		c.Days = 61
	}
	c.End = c.End.Truncate(time.Second)
	tmp := filepath.Join(c.Dir, "history.tmp")
	if err := os.MkdirAll(tmp, 0o755); err != nil {
		return Truth{}, fmt.Errorf("write history: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	db, err := open(tmp)
	if err != nil {
		return Truth{}, fmt.Errorf("write history: %w", err)
	}
	truth, err = c.fill(ctx, db)
	if err = errors.Join(err, persist(db)); err != nil {
		return truth, fmt.Errorf("write history of %s: %w", c.Cluster.Name, err)
	}
	return truth, moveBlocks(tmp, c.Dir)
}

func (c Config) fill(ctx context.Context, db *tsdb.DB) (Truth, error) {
	truth, err := c.writeRaw(ctx, db)
	if err != nil {
		return truth, err
	}
	past, err := newBackfill(c, db, c.Past)
	if err != nil {
		return truth, err
	}
	if err := past.past(ctx, c.Charts, month); err != nil {
		return truth, err
	}
	present, err := newBackfill(c, db, c.Groups)
	if err != nil {
		return truth, err
	}
	return truth, present.present(ctx, past)
}

// open returns an empty database that keeps all in one head without a log,
// whatever the order in which series come.
func open(dir string) (*tsdb.DB, error) {
	o := tsdb.DefaultOptions()
	o.MinBlockDuration = (365 * 24 * time.Hour).Milliseconds()
	o.MaxBlockDuration = o.MinBlockDuration
	o.RetentionDuration = 0
	o.WALSegmentSize = -1
	db, err := tsdb.Open(dir, nil, nil, o, tsdb.NewDBStats())
	if err != nil {
		return nil, err
	}
	db.DisableCompactions()
	return db, nil
}

// persist writes the head as one block, and closes the database.
func persist(db *tsdb.DB) error {
	h := db.Head()
	if h.NumSeries() == 0 {
		return db.Close()
	}
	return errors.Join(db.CompactHead(tsdb.NewRangeHead(h, h.MinTime(), h.MaxTime())), db.Close())
}

// moveBlocks moves the blocks of one database to another's folder.
func moveBlocks(from, to string) error {
	metas, err := fs.Glob(os.DirFS(from), "*/meta.json")
	if err != nil {
		return fmt.Errorf("find blocks: %w", err)
	}
	for _, m := range metas {
		block := filepath.Dir(m)
		if err := os.Rename(filepath.Join(from, block), filepath.Join(to, block)); err != nil {
			return fmt.Errorf("move block: %w", err)
		}
	}
	return nil
}

func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

func newEngine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples: 200_000_000, Timeout: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: newParser(),
	})
}
