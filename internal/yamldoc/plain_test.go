package yamldoc

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.yaml.in/yaml/v3"
)

// FuzzPlain compares what is read without the library with what it reads.
func FuzzPlain(f *testing.F) {
	for _, pattern := range []string{"../../testdata/slo/*/*.yaml", "../../testdata/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			if len(content) < 64<<10 {
				f.Add(string(content))
			}
		}
	}
	for _, text := range []string{
		"a: 1\nb:\n- x\n-  y: z\n   w: 'v'\n-\n  - 5m\n",
		"a: {b: [c,d , {}, \"e f\"], g: http://x/y, h: true}\n",
		"a: |\n  b\n\n    c # d\n# e\nf: ä#ö\n---\n# g\nh: 0.50\n",
		"---\na: b # c\n", "a: b\n  c\n", "a:\nb: c\n", "- a\n- b: 1\n", "a: x:y\nb: <<\nc: null\nd: =\n",
		"- - a\n  - b\n- c\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, libraryErr := byLibrary(text)
		var got []*yaml.Node
		file := new(Reader).Open("a.yaml", []byte(text))
		for n, err := range file.Documents() {
			if (err != nil) && libraryErr == nil && !isRefusal(err) {
				t.Fatalf("the library reads it: %v", err)
			}
			if err != nil {
				return
			}
			got = append(got, n)
		}
		if libraryErr != nil {
			if n, ok := readPlain(text, 1, someNodes); ok && isSplit(text) && !strings.Contains(text, "\n---") && !strings.HasPrefix(text, "---") {
				t.Fatalf("the library says %v, this reads %+v", libraryErr, n)
			}
			return
		}
		if !slices.EqualFunc(want, got, same) {
			diff := cmp.Diff(want, got, cmpopts.IgnoreFields(yaml.Node{}, "HeadComment", "LineComment", "FootComment"))
			t.Errorf("%q: %s", text, diff)
		}
	})
}

// same says whether two nodes are the same but for comments.
func same(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && a.Style == b.Style &&
		a.Line == b.Line && a.Column == b.Column && a.Anchor == b.Anchor && slices.EqualFunc(a.Content, b.Content, same)
}

// isRefusal says whether a problem is not of the syntax.
func isRefusal(err error) bool { return !strings.Contains(err.Error(), "not YAML") }

func byLibrary(text string) ([]*yaml.Node, error) {
	var all []*yaml.Node
	dec := yaml.NewDecoder(strings.NewReader(text))
	for {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if len(doc.Content) > 0 && doc.Content[0].Tag != "!!null" {
			all = append(all, doc.Content[0])
		}
	}
}

// The files that people write are read without the library.
func TestPlainReadsWhatIsUsual(t *testing.T) {
	files, err := filepath.Glob("../../testdata/slo/kinds/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	odd := map[string]int{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for text, line := range split(string(content)) {
			if _, ok := readPlain(text, line, someNodes); !ok {
				odd[filepath.Base(file)]++
			}
		}
	}
	// The one that is not has times, which only the library can tell from texts.
	if diff := cmp.Diff(map[string]int{"alerts.yaml": 1}, odd); diff != "" {
		t.Error(diff)
	}
}

func someNodes() []yaml.Node { return make([]yaml.Node, nodesAtOnce) }

// A document that is read into the memory of one before is as one that is not.
func TestReleasedNodesAreReadIntoAnew(t *testing.T) {
	texts := []string{
		"a: {b: [1, 2, {c: d}], e: 'f'}\ng: |\n  h\n  i\n", "- 1\n- a: b\n  c: [d]\n", "a: b\n", strings.Repeat("k: {a: [1, 2, 3]}\n", 1) + "z: y\n",
	}
	var r Reader
	f := r.Open("a.yaml", []byte(strings.Join(texts, "---\n")))
	i := 0
	for n, err := range f.Documents() {
		if err != nil {
			t.Fatal(err)
		}
		var fresh Reader
		for want, err := range fresh.Open("a.yaml", []byte(strings.Repeat("\n", n.Line-1)+texts[i])).Documents() {
			if err != nil || !reflect.DeepEqual(n, want) {
				t.Errorf("document %d is another: %v", i, err)
			}
		}
		i++
		f.Release()
	}
	if i != len(texts) {
		t.Errorf("%d documents", i)
	}
}
