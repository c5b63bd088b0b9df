package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/oncall"
)

// maxRead bounds the size of a file, in bytes.
const maxRead = 4 << 20

// sortedFiles are files by what is in them. What cannot be told apart is
// taken for SLOs, whose reader says what is wrong with it.
type sortedFiles struct {
	slos, oncall, configs []string
	empty                 []string // folders in which no file was found
	people                bool     // the on-call files are not calendars alone
}

// sortFiles tells files, and those of folders, apart. In a folder it looks at
// every *.yaml and *.yml, also of the folders below it, but at nothing whose
// name begins with a dot.
func sortFiles(paths []string) (found sortedFiles) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.IsDir() {
			found.add(path)
			continue
		}
		files := filesIn(path)
		for _, name := range files {
			found.add(name)
		}
		if len(files) == 0 {
			found.empty = append(found.empty, path)
		}
	}
	return found
}

func filesIn(root string) (files []string) {
	// What cannot be read is left to whoever reads the file that is the folder.
	_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		hidden := path != root && strings.HasPrefix(filepath.Base(path), ".")
		switch {
		case err != nil:
			files = append(files, path)
			return nil
		case hidden && entry.IsDir():
			return fs.SkipDir
		case hidden || entry.IsDir():
			return nil
		}
		if ext := strings.ToLower(filepath.Ext(path)); ext == ".yaml" || ext == ".yml" {
			files = append(files, path)
		}
		return nil
	})
	return files
}

func (s *sortedFiles) add(name string) {
	content, err := readSome(name)
	if err != nil {
		s.slos = append(s.slos, name)
		return
	}
	for _, kind := range kindsOf(name, content) {
		list := &s.slos
		switch kind {
		case oncallFile:
			list, s.people = &s.oncall, true
		case calendarFile:
			list = &s.oncall
		case configFile:
			list = &s.configs
		case sloFile:
		}
		if !slices.Contains(*list, name) {
			*list = append(*list, name)
		}
	}
}

// readSome returns the content of a regular file that is not too large.
func readSome(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe would not even open
		return nil, errors.New("not a regular file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxRead+1))
	if err == nil && len(content) > maxRead {
		err = fmt.Errorf("larger than %d MiB", maxRead>>20)
	}
	return content, err
}

// fileKind is what a document is.
type fileKind int

const (
	sloFile fileKind = iota
	oncallFile
	calendarFile // of holidays
	configFile
)

// telling are the words of which one is in every file that is not of SLOs.
var telling = [][]byte{
	[]byte(oncall.Kind), []byte(oncall.KindHolidayCalendar),
	[]byte("external_url"), []byte("slo_files"), []byte("oncall_files"), []byte("notifiers"),
}

var (
	looksLikeOnCall = regexp.MustCompile(`(?m)^kind:\s*["']?(OnCall|HolidayCalendar)\b`)
	looksLikeConfig = regexp.MustCompile(`(?m)^(external_url|slo_files|oncall_files|notifiers):`)
)

// kindsOf returns what the documents of a file are. In a file that is no YAML
// its lines tell. Most files are of SLOs: whoever reads those parses them, and
// here it is enough that nothing in them says otherwise.
func kindsOf(name string, content []byte) (kinds []fileKind) {
	if !slices.ContainsFunc(telling, func(word []byte) bool { return bytes.Contains(content, word) }) {
		return []fileKind{sloFile}
	}
	f, err := yamldoc.Parse(name, content)
	switch {
	case err == nil:
		for _, doc := range f.Docs {
			kinds = append(kinds, kindOf(doc))
		}
	case looksLikeOnCall.Match(content):
		return []fileKind{oncallFile}
	case looksLikeConfig.Match(content):
		return []fileKind{configFile}
	}
	if len(kinds) == 0 {
		return []fileKind{sloFile}
	}
	return kinds
}

func kindOf(doc *yaml.Node) fileKind {
	switch value(doc, "kind") {
	case oncall.Kind:
		return oncallFile
	case oncall.KindHolidayCalendar:
		return calendarFile
	}
	if has(doc, "apiVersion") || has(doc, "version") {
		return sloFile
	}
	for _, key := range []string{"external_url", "slo_files", "oncall_files", "notifiers"} {
		if has(doc, key) {
			return configFile
		}
	}
	return sloFile
}

func has(doc *yaml.Node, key string) bool {
	if doc.Kind != yaml.MappingNode {
		return false
	}
	for i := 0; i < len(doc.Content); i += 2 {
		if doc.Content[i].Value == key {
			return true
		}
	}
	return false
}

func value(doc *yaml.Node, key string) string {
	if !has(doc, key) {
		return ""
	}
	return yamldoc.Lookup(doc, key).Value
}

// exclude returns names without those of files that are among others.
func exclude(names, others []string) (rest []string) {
	for _, name := range names {
		if !slices.ContainsFunc(others, func(o string) bool { return sameFile(name, o) }) {
			rest = append(rest, name)
		}
	}
	return rest
}

func sameFile(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
