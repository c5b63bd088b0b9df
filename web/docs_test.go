package web

import (
	"os"
	"strings"
	"testing"
)

// The document of the API names every path of it.
func TestDocumentNamesEveryPath(t *testing.T) {
	text, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	for _, rt := range append(append(h.apiRoutes(), h.alertmanagerRoutes()...), h.ingestRoutes()...) {
		if !strings.HasSuffix(rt.pattern, "/") && !strings.Contains(string(text), rt.pattern) {
			t.Errorf("docs/api.md says nothing of %s", rt.pattern)
		}
		for _, m := range rt.methods {
			if m != "HEAD" && !strings.HasSuffix(rt.pattern, "/") && !strings.Contains(string(text), m+" "+rt.pattern) {
				t.Errorf("docs/api.md says nothing of %s %s", m, rt.pattern)
			}
		}
	}
}
