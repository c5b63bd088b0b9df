package replay

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"

	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
)

// TSDB is a source over a data folder of Prometheus, which it never writes
// to. A Prometheus may be using the folder.
type TSDB struct {
	*Local
	// Warning says what of the folder could not be read; "" when all was.
	Warning string
	shadow  string
	db      *tsdb.DBReadOnly
	querier storage.Querier
}

var _ Source = (*TSDB)(nil)

// OpenTSDB opens a data folder: its blocks and its write-ahead log. What is
// made to read it is in the folder for temporary files, until Close.
func OpenTSDB(dir string) (*TSDB, error) {
	t, err := openTSDB(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return t, nil
}

func openTSDB(dir string) (t *TSDB, err error) {
	t = &TSDB{}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	if t.shadow, err = os.MkdirTemp("", "midwatch-tsdb-"); err != nil {
		return t, err
	}
	blocks, err := shadow(dir, t.shadow)
	if err != nil {
		return t, err
	}
	if t.db, err = tsdb.OpenDBReadOnly(t.shadow, t.shadow, slog.New(slog.DiscardHandler)); err != nil {
		return t, err
	}
	t.querier, err = t.db.Querier(math.MinInt64, math.MaxInt64)
	if err != nil && blocks > 0 { // its last record may be half written
		t.Warning = fmt.Sprintf("the write-ahead log cannot be read (%v): only blocks are, which end two or three hours ago", err)
		t.querier, err = t.onlyBlocks()
	}
	if err != nil {
		return t, err
	}
	t.Local = NewLocal(&shared{querier: t.querier})
	return t, nil
}

// onlyBlocks returns what reads the blocks without the log.
func (t *TSDB) onlyBlocks() (storage.Querier, error) {
	for _, name := range []string{"wal", "wbl", "chunks_head"} {
		if err := os.RemoveAll(filepath.Join(t.shadow, name)); err != nil { // a link, or links
			return nil, err
		}
	}
	if err := os.Mkdir(filepath.Join(t.shadow, "wal"), 0o700); err != nil {
		return nil, err
	}
	return t.db.Querier(math.MinInt64, math.MaxInt64)
}

// Close removes what was made to read the folder.
func (t *TSDB) Close() error {
	var errs []error
	if t.querier != nil {
		errs = append(errs, t.querier.Close())
	}
	if t.db != nil {
		errs = append(errs, t.db.Close())
	}
	if t.shadow != "" {
		errs = append(errs, os.RemoveAll(t.shadow))
	}
	return errors.Join(errs...)
}

// shadow lays out a folder that reads as the data folder does, of links to
// its files: what the library makes while it reads is then elsewhere, and
// what Prometheus removes stays until it is read. It returns how many blocks
// there are.
func shadow(dir, into string) (blocks int, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return 0, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	known := 0
	for _, e := range entries {
		from, to := filepath.Join(dir, e.Name()), filepath.Join(into, e.Name())
		switch {
		case e.Name() == "wal" || e.Name() == "wbl":
			known++
			err = os.Symlink(from, to)
		case e.Name() == "chunks_head":
			err = copyFolder(from, to)
		case isBlock(from):
			known++
			blocks++
			err = linkFolder(from, to)
		}
		if err != nil {
			return blocks, err
		}
	}
	if known == 0 {
		return 0, errors.New("neither a block nor a write-ahead log is in it: not the data folder of a Prometheus")
	}
	return blocks, nil
}

func isBlock(dir string) bool {
	_, meta := os.Stat(filepath.Join(dir, "meta.json"))
	_, index := os.Stat(filepath.Join(dir, "index"))
	return meta == nil && index == nil
}

// linkFolder makes a folder of links to what is in another.
func linkFolder(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// copyFolder copies the files of a folder. One that is gone meanwhile is left
// out.
func copyFolder(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		if err := copyFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// shared is one querier for all queries, which take turns: its readers have
// buffers of their own, and to open another reads the whole log again.
type shared struct {
	turn    sync.Mutex
	querier storage.Querier
}

// Querier waits until the last query is over, and returns the querier as one
// that closing does not close.
func (s *shared) Querier(int64, int64) (storage.Querier, error) {
	s.turn.Lock()
	return borrowed{s.querier, s}, nil
}

type borrowed struct {
	storage.Querier
	of *shared
}

// Close lets the next query in.
func (b borrowed) Close() error {
	b.of.turn.Unlock()
	return nil
}
