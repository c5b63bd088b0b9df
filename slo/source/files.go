package source

import (
	"bytes"
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
		l.link(path)
	}
}

// folder reads the files of a folder and of those below it. It asks the system
// no more of each than it must: there may be thousands.
func (l *loader) folder(root string) {
	real, err := realPath(root)
	if err != nil {
		l.unreadable(root, "open", err)
		return
	}
	begin := root
	if info, err := os.Lstat(root); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		begin += string(filepath.Separator) // else it would not be walked
	}
	err = filepath.WalkDir(begin, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			l.unreadable(path, "read", err)
		case path != begin && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir() || !isYAML(path):
		case d.Type().IsRegular():
			below, err := filepath.Rel(begin, path)
			if err != nil {
				return err
			}
			l.file(path, filepath.Join(real, below))
		case !leadsToFolder(path):
			l.link(path)
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

// link reads a file that may be a symbolic link, or no file.
func (l *loader) link(path string) {
	real, err := realPath(path)
	if err != nil {
		l.unreadable(path, "open", err)
		return
	}
	if info, err := os.Stat(real); err == nil && !info.Mode().IsRegular() {
		l.unreadable(path, "read", errNotRegular) // a pipe would not even open
		return
	}
	l.file(path, real)
}

// realPath returns where a path leads to.
func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

// file reads a regular file that is at a real path, unless it was read before.
func (l *loader) file(path, real string) {
	if l.seen[real] {
		return
	}
	l.seen[real] = true
	content, err := readFile(path)
	if err != nil {
		l.unreadable(path, "read", err)
		return
	}
	l.content(path, content)
}

var errNotRegular = errors.New("not a regular file")

// readFile returns the content of a file that is not too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		b.Grow(int(min(info.Size(), maxFileBytes)) + bytes.MinRead)
	}
	_, err = b.ReadFrom(io.LimitReader(f, maxFileBytes+1))
	if err == nil && b.Len() > maxFileBytes {
		err = fmt.Errorf("larger than %d MiB", maxFileBytes>>20)
	}
	return b.Bytes(), err
}
