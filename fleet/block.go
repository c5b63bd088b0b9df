package fleet

import (
	"context"
	"errors"
	"fmt"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

// writeBlock writes samples that are older than all in memory as a block,
// which the database finds within reloadEvery. It is there whole or not at all.
func (f *Fleet) writeBlock(ctx context.Context, series map[int]promql.Series) (err error) {
	if len(series) == 0 {
		return nil
	}
	w, err := tsdb.NewBlockWriter(f.quiet, f.c.Dir, fillChunk.Milliseconds())
	if err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := write(w.Appender(ctx), series); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	if _, err := w.Flush(ctx); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	return nil
}
