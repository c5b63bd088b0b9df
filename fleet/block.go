package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
)

const (
	// draftFolder is where a block is written before the database may see it.
	draftFolder = "backfill"
	metaFile    = "meta.json" // of a block
)

// writeBlock writes samples of the past as a block, which the database finds
// within reloadEvery. It is there whole or not at all.
func (f *Fleet) writeBlock(ctx context.Context, series map[int]promql.Series) error {
	if len(series) == 0 {
		return nil
	}
	draft := filepath.Join(f.c.Dir, draftFolder)
	err := os.RemoveAll(draft) // what was left by a crash
	if err == nil {
		err = f.draft(ctx, draft, series)
	}
	if err = errors.Join(err, os.RemoveAll(draft)); err != nil {
		return fmt.Errorf("write block: %w", err)
	}
	return nil
}

// draft writes a block into a folder, and moves it from there to the others.
func (f *Fleet) draft(ctx context.Context, folder string, series map[int]promql.Series) (err error) {
	w, err := tsdb.NewBlockWriter(f.quiet, folder, fillChunk.Milliseconds())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := write(w.Appender(ctx), series); err != nil {
		return err
	}
	id, err := w.Flush(ctx)
	if err != nil {
		return err
	}
	block := filepath.Join(folder, id.String())
	if err := markLate(filepath.Join(block, metaFile)); err != nil {
		return err
	}
	return os.Rename(block, filepath.Join(f.c.Dir, id.String()))
}

// markLate says of a block that its samples came out of order. The database
// would drop what it holds in memory, and has not on disk yet, of the time
// before the end of any other block.
func markLate(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var meta tsdb.BlockMeta
	if err := json.Unmarshal(b, &meta); err != nil {
		return err
	}
	meta.Compaction.SetOutOfOrder()
	if b, err = json.MarshalIndent(meta, "", "\t"); err != nil {
		return err
	}
	return writeFile(path, b)
}
