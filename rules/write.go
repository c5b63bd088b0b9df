package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// header begins every file that Write writes, and tells ours from others.
const header = "# Written by midwatch from SLO files. Change those: changes here are lost.\n"

// Changes says what Write did, by the names of files, sorted.
type Changes struct {
	Written []string
	Removed []string
	Same    int // that were there already, with the same content
}

// None says whether nothing was done.
func (c Changes) None() bool { return len(c.Written) == 0 && len(c.Removed) == 0 }

// WriteDir writes the set to a folder as Prometheus reads it: see Write.
func (s Set) WriteDir(dir string) error {
	_, err := s.Write(dir, Output{})
	return err
}

// Write writes the set to a folder, which it makes if there is none. Each
// file is written whole or not at all, and none is touched before all are
// ready; what is there already with the same content is left alone. Files
// there that an earlier set left behind are removed; it never overwrites or
// removes a file that it did not write.
func (s Set) Write(dir string, o Output) (Changes, error) {
	if err := o.defaults(); err != nil {
		return Changes{}, fmt.Errorf("write rules: %w", err)
	}
	if err := s.checkNames(); err != nil {
		return Changes{}, fmt.Errorf("write rules: %w", err)
	}
	w := folder{dir: filepath.Clean(dir), staged: map[string]string{}}
	defer w.discard()
	changes, err := w.write(s.Arranged(), o)
	if err != nil {
		return changes, fmt.Errorf("write rules: %w", err)
	}
	return changes, nil
}

// folder is one that rules are written to. Names in it have slashes.
type folder struct {
	dir    string
	ours   map[string]bool   // files there that carry our header
	staged map[string]string // temporary files by the names that they will have
	buffer []byte
}

func (w *folder) write(s Set, o Output) (done Changes, err error) {
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return done, err
	}
	if err := w.list(); err != nil {
		return done, err
	}
	for _, f := range s.Files {
		same, err := w.stage(f, o)
		if err != nil {
			return done, err
		}
		if same {
			done.Same++
		}
		w.forget(f.Name)
	}
	for _, f := range s.Files {
		temporary, ok := w.staged[f.Name]
		if !ok {
			continue
		}
		if err := os.Rename(temporary, w.path(f.Name)); err != nil {
			return done, err
		}
		delete(w.staged, f.Name)
		done.Written = append(done.Written, f.Name)
	}
	done.Removed, err = w.removeStale()
	slices.Sort(done.Written)
	return done, err
}

func (w *folder) path(name string) string { return filepath.Join(w.dir, filepath.FromSlash(name)) }

// list finds the files that carry our header.
func (w *folder) list() error {
	w.ours = map[string]bool{}
	for _, sub := range []string{"", FleetFolder, LokiFolder} {
		dir := w.path(sub)
		info, err := os.Lstat(dir)
		if sub != "" && (errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir()) {
			continue // what is no folder is another's
		}
		if err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || filepath.Ext(e.Name()) != extension {
				continue
			}
			ours, err := hasHeader(filepath.Join(dir, e.Name()))
			if err != nil {
				return err
			}
			if ours {
				w.ours[path.Join(sub, e.Name())] = true
			}
		}
	}
	return nil
}

func hasHeader(path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // it was removed meanwhile
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, len(header))
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(begin[:n]) == header, nil
}

// stage writes a file's content beside its place, unless the same is there.
func (w *folder) stage(f File, o Output) (same bool, err error) {
	to := w.path(f.Name)
	there, err := w.replaceable(to)
	if err != nil {
		return false, err
	}
	if w.buffer, err = f.render(o, w.buffer[:0]); err != nil {
		return false, err
	}
	if there && holds(to, w.buffer) {
		return true, nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return false, err
	}
	t, err := os.CreateTemp(filepath.Dir(to), ".midwatch-*.tmp")
	if err != nil {
		return false, err
	}
	w.staged[f.Name] = t.Name()
	_, err = t.Write(w.buffer)
	return false, errors.Join(err, t.Chmod(0o644), t.Sync(), t.Close())
}

// replaceable says whether there is a file already. One that is another's is
// an error.
func (w *folder) replaceable(to string) (there bool, err error) {
	info, err := os.Lstat(to)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ours := false
	if info.Mode().IsRegular() {
		ours, err = hasHeader(to)
	}
	if err == nil && !ours {
		err = fmt.Errorf("%s is there and was not written by midwatch", to)
	}
	return true, err
}

// holds says whether a file has that content.
func holds(path string, content []byte) bool {
	info, err := os.Stat(path)
	if err != nil || info.Size() != int64(len(content)) {
		return false
	}
	b, err := os.ReadFile(path)
	return err == nil && bytes.Equal(b, content)
}

// forget keeps a file that is made again from being removed, also under a
// name that differs by its case: some file systems take both for the same.
func (w *folder) forget(name string) {
	delete(w.ours, name)
	to, err := os.Lstat(w.path(name))
	if err != nil {
		return
	}
	for other := range w.ours {
		if !strings.EqualFold(other, name) {
			continue
		}
		if info, err := os.Lstat(w.path(other)); err == nil && os.SameFile(info, to) {
			delete(w.ours, other)
		}
	}
}

// removeStale removes what is ours and was not written again, and folders of
// ours that are empty then.
func (w *folder) removeStale() (removed []string, err error) {
	for name := range w.ours {
		if err := os.Remove(w.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, fmt.Errorf("remove what is no longer made: %w", err)
		}
		removed = append(removed, name)
		if sub := path.Dir(name); sub != "." {
			_ = os.Remove(w.path(sub)) // not while there is anything in it
		}
	}
	slices.Sort(removed)
	return removed, nil
}

// discard removes what was staged and did not come into its place.
func (w *folder) discard() {
	for _, temporary := range w.staged {
		_ = os.Remove(temporary)
	}
}
