package loki

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
)

// TestDocumentedConfigurationIsTheDefault reads the example in the manual.
func TestDocumentedConfigurationIsTheDefault(t *testing.T) {
	manual, err := os.ReadFile("../../docs/evidence.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(manual), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	f, err := yamldoc.Parse("docs/evidence.md", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Logs Config }
	if len(f.Docs) != 1 {
		t.Fatalf("%d documents", len(f.Docs))
	}
	if ps := f.Decode(f.Docs[0], &got); len(ps) > 0 {
		t.Fatal(ps)
	}
	want := Config{URL: got.Logs.URL}
	if err := want.defaults(); err != nil {
		t.Fatal(err)
	}
	want.Now = nil
	if !reflect.DeepEqual(got.Logs, want) {
		t.Errorf("documented %+v\ndefault %+v", got.Logs, want)
	}
}
