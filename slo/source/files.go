package source

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// maxFileBytes bounds the size of one file.
const maxFileBytes = 4 << 20

func (l *loader) unreadable(file, message string, err error) {
	l.problems = append(l.problems, diag.Problem{File: file, Message: fmt.Sprintf("%s: %v", message, reason(err))})
}

// reason returns the cause of a file system error without the path, which the
// problem already names.
func reason(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err
	}
	return err
}

func (l *loader) path(path string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		l.unreadable(path, "open", err)
	case info.IsDir():
		l.folder(path)
	default:
		l.file(path)
	}
}

func (l *loader) folder(root string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.unreadable(path, "read", err)
		case path != root && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case !d.IsDir() && isYAML(path) && !leadsToFolder(path):
			l.file(path)
		}
		return nil
	})
	if err != nil {
		l.unreadable(root, "read", err)
	}
}

func isYAML(path string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, strings.ToLower(filepath.Ext(path)))
}

// leadsToFolder says whether path is a symbolic link to a folder.
func leadsToFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func (l *loader) file(path string) {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		l.unreadable(path, "open", err)
		return
	}
	if l.seen[real] {
		return
	}
	l.seen[real] = true
	content, err := read(path)
	if err != nil {
		l.unreadable(path, "read", err)
		return
	}
	l.content(path, content)
}

// read returns the content of a regular file that is not too large.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		err = fmt.Errorf("larger than %d MiB", maxFileBytes>>20)
	}
	return content, err
}
