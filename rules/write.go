package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/slo"
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
	var names []string
	for _, f := range s.Files {
		names = append(names, f.Name)
	}
	return write(dir, o, names, func(take func(File) error) error {
		for _, f := range s.Files {
			if err := take(f); err != nil {
				return err
			}
		}
		return nil
	})
}

// CompileTo compiles SLOs and writes their rules to a folder, as Compile and
// Write do, without holding all of them at once.
func CompileTo(dir string, slos []slo.SLO, o Options, out Output) (Changes, error) {
	var names []string
	for i := range slos {
		if i == 0 || slos[i].Service != slos[i-1].Service {
			names = append(names, serviceFile(slos[i].Service))
		}
	}
	slices.Sort(names)
	return write(dir, out, slices.Compact(names), func(take func(File) error) error { return Each(slos, o, take) })
}

// write writes the files that each hands over. names are those of them that
// may differ by their case alone.
func write(dir string, o Output, names []string, each func(take func(File) error) error) (Changes, error) {
	if err := o.defaults(); err != nil {
		return Changes{}, fmt.Errorf("write rules: %w", err)
	}
	w := folder{dir: filepath.Clean(dir), output: o, clash: clashes(names), staged: map[string]string{}}
	defer w.discard()
	if err := each(w.take); err != nil {
		return Changes{}, err
	}
	if err := w.finish(); err != nil {
		return w.done, fmt.Errorf("write rules: %w", err)
	}
	return w.done, nil
}

// folder is one that rules are written to. Names in it have slashes.
type folder struct {
	dir    string
	output Output
	clash  map[string]bool
	ours   map[string]bool   // files there that carry our header; nil before anything is staged
	staged map[string]string // temporary files by the names that they will have
	made   bool              // the folder itself
	done   Changes
	buffer []byte
}

// take stages a file of a set.
func (w *folder) take(f File) error {
	if err := f.checkName(); err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	if err := w.begin(); err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	for _, part := range f.arranged(w.clash) {
		same, err := w.stage(part)
		if err != nil {
			return fmt.Errorf("write rules: %w", err)
		}
		if same {
			w.done.Same++
		}
		w.forget(part.Name)
	}
	return nil
}

// begin makes the folder and looks what is there.
func (w *folder) begin() error {
	if w.ours != nil {
		return nil
	}
	_, err := os.Stat(w.dir)
	w.made = errors.Is(err, fs.ErrNotExist)
	if err := os.MkdirAll(w.dir, 0o755); err != nil {
		return err
	}
	return w.list()
}

// finish puts what is staged into its place.
func (w *folder) finish() (err error) {
	if err := w.begin(); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(w.staged)) {
		if err := os.Rename(w.staged[name], w.path(name)); err != nil {
			return err
		}
		delete(w.staged, name)
		w.done.Written = append(w.done.Written, name)
	}
	w.done.Removed, err = w.removeStale()
	return err
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
func (w *folder) stage(f File) (same bool, err error) {
	to := w.path(f.Name)
	there, err := w.replaceable(to)
	if err != nil {
		return false, err
	}
	if w.buffer, err = f.render(w.output, w.buffer[:0]); err != nil {
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
	if w.made && len(w.done.Written) == 0 {
		for _, sub := range []string{FleetFolder, LokiFolder, ""} {
			_ = os.Remove(w.path(sub)) // not while there is anything in it
		}
	}
}
