package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"
)

// header begins every file that WriteDir writes, and tells ours from others.
const header = "# Written by midwatch from SLO files. Change those: changes here are lost.\n"

// Content returns the file as Prometheus reads it.
func (f File) Content() ([]byte, error) {
	b := bytes.NewBufferString(header)
	enc := yaml.NewEncoder(b)
	enc.SetIndent(2)
	if err := enc.Encode(rulefmt.RuleGroups{Groups: f.Groups}); err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Name, err)
	}
	return b.Bytes(), nil
}

// WriteDir writes the set to a folder, which it makes if there is none. Each
// file is written whole or not at all, and none is touched before all are
// ready. Files there that an earlier set left behind are removed; it never
// overwrites or removes a file that it did not write.
func (s Set) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	stale, err := written(dir)
	if err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	staged := map[string]string{} // temporary file by name
	defer func() {
		for _, temporary := range staged {
			_ = os.Remove(temporary) // those that were renamed are gone
		}
	}()
	for _, f := range s.Files {
		if staged[f.Name], err = f.stage(dir, stale[f.Name]); err != nil {
			return fmt.Errorf("write rules: %w", err)
		}
		delete(stale, f.Name)
	}
	for _, f := range s.Files {
		if err := os.Rename(staged[f.Name], filepath.Join(dir, f.Name)); err != nil {
			return fmt.Errorf("write rules: %w", err)
		}
	}
	for name := range stale {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove stale rules: %w", err)
		}
	}
	return nil
}

// written returns the names of the files in dir that carry our header.
func written(dir string) (map[string]bool, error) {
	paths, err := filepath.Glob(filepath.Join(filepath.Clean(dir), "*.yaml"))
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, path := range paths {
		ours, err := hasHeader(path)
		if err != nil {
			return nil, err
		}
		if ours {
			names[filepath.Base(path)] = true
		}
	}
	return names, nil
}

func hasHeader(path string) (bool, error) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, len(header))
	n, err := f.Read(begin)
	if err != nil && n > 0 {
		return false, err
	}
	return string(begin[:n]) == header, nil
}

// stage writes a file's content beside its place. ours says that what is
// there now may be replaced.
func (f File) stage(dir string, ours bool) (string, error) {
	if _, err := os.Lstat(filepath.Join(dir, f.Name)); err == nil && !ours {
		return "", fmt.Errorf("%s is there and was not written by midwatch", filepath.Join(dir, f.Name))
	}
	content, err := f.Content()
	if err != nil {
		return "", err
	}
	t, err := os.CreateTemp(dir, ".midwatch-*.tmp")
	if err != nil {
		return "", err
	}
	_, err = t.Write(content)
	err = errors.Join(err, t.Chmod(0o644), t.Sync(), t.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(t.Name()))
	}
	return t.Name(), nil
}
