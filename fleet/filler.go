package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// fillFile is the file of what is kept of backfills.
const fillFile = "backfill.json"

// filled is what is kept of backfills over restarts. Times are in milliseconds
// since 1970, 0 for none.
type filled struct {
	SLOs    []string `json:"slos"`              // whose history is complete, but for the times below
	Doing   []string `json:"doing"`             // whose is not
	Until   int64    `json:"until"`             // of those it is up to there
	Seen    []string `json:"seen,omitempty"`    // clusters that had samples of those before
	Gap     int64    `json:"gap,omitempty"`     // since when SLOs may lack samples
	Filling int64    `json:"filling,omitempty"` // the same of what is being filled
}

// filler keeps what is to be backfilled: on disk, from the moment that it is
// known until it is done.
type filler struct {
	due  chan struct{}
	path string
	log  *slog.Logger

	mu    sync.Mutex
	state filled
	dirty bool // the state is not on disk
}

// newFiller reads what was backfilled before; nothing when that is not to be
// read: then it is done again, and changes nothing.
func newFiller(dir string, log *slog.Logger) *filler {
	out := &filler{due: make(chan struct{}, 1), path: filepath.Join(dir, fillFile), log: log}
	b, err := os.ReadFile(out.path)
	if err == nil {
		err = json.Unmarshal(b, &out.state)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what was backfilled before is not known", "err", err)
		out.state = filled{}
	}
	return out
}

func (f *filler) wake() {
	select {
	case f.due <- struct{}{}:
	default: // it will look already
	}
}

// since notes that nothing was recorded since an instant. What is noted before
// the end of the backfill of an earlier time is of another one.
func (f *filler) since(at time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.state.Gap == 0 || at.UnixMilli() < f.state.Gap {
		f.state.Gap, f.dirty = at.UnixMilli(), true
	}
	if !f.dirty {
		return
	}
	if err := f.save(); err != nil {
		f.log.Warn("a time that is to be backfilled is not noted on disk", "since", at.UTC(), "err", err)
	}
}

// begin returns since when samples may be lacking, zero when they are not.
// What is noted later is not of that time. It is done when Filling is zero.
func (f *filler) begin() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := &f.state
	if d.Gap != 0 {
		if d.Filling == 0 || d.Gap < d.Filling {
			d.Filling = d.Gap
		}
		d.Gap, f.dirty = 0, true // on disk with the next change: until then it is filled twice
	}
	if d.Filling == 0 {
		return time.Time{}
	}
	return time.UnixMilli(d.Filling)
}

// known returns those of SLOs whose history is complete.
func (f *filler) known(slos []string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(slos), func(s string) bool { return !slices.Contains(f.state.SLOs, s) })
}

// doing returns up to when the history of just these SLOs was backfilled
// before, and which clusters had samples of them.
func (f *filler) doing(slos []string) (until time.Time, seen map[string]bool, is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Equal(slos, f.state.Doing) {
		return time.Time{}, nil, false
	}
	seen = map[string]bool{}
	for _, name := range f.state.Seen {
		seen[name] = true
	}
	return time.UnixMilli(f.state.Until), seen, true
}

// change changes what is kept.
func (f *filler) change(how func(*filled)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	how(&f.state)
	f.dirty = true
	return f.save()
}

// save writes the state. The caller holds the lock.
func (f *filler) save() error {
	b, err := json.Marshal(f.state)
	if err == nil {
		err = writeFile(f.path, b)
	}
	if err != nil {
		return fmt.Errorf("keep what is backfilled: %w", err)
	}
	f.dirty = false
	return nil
}

// writeFile puts a file in the place of that before; after a crash there is
// one of the two, whole.
func writeFile(path string, content []byte) (err error) {
	file, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}
