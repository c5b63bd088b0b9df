package source_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo/source"
)

const folder = "../../testdata/slo"

func TestLoad(t *testing.T) {
	slos, err := source.Load([]string{folder + "/valid", folder + "/valid/payment.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	type facts struct {
		ID, Objective, Window, Budget, Place string
		Line                                 int
	}
	var got []facts
	for _, s := range slos {
		got = append(got, facts{s.ID(), s.Objective.String(), s.Window.String(), s.ErrorBudget().RatString(), filepath.Base(s.File), s.Line})
	}
	want := []facts{
		{"order-service/order-availability", "99.5", "28d", "1/200", "two.yml", 5},
		{"order-service.v2/order-availability", "99.90", "30d", "1/1000", "two.yml", 24},
		{"payment-service/payment-availability", "99.95", "30d", "1/2000", "payment.yaml", 4},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLoadFindsNothing(t *testing.T) {
	dir := t.TempDir()
	hidden := filepath.Join(dir, ".draft.yaml")
	if err := os.WriteFile(hidden, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "absent.yaml")} {
		_, err := source.Load([]string{path})
		problems, _ := diag.Of(err)
		if len(problems) != 1 || problems[0].File != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Kubernetes mounts files as links into a hidden folder.
func TestLoadFollowsLinks(t *testing.T) {
	dir := t.TempDir()
	content, err := os.ReadFile(folder + "/valid/payment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "..data")
	for _, err := range []error{
		os.Mkdir(data, 0o700),
		os.WriteFile(filepath.Join(data, "payment.yaml"), content, 0o600),
		os.Symlink(filepath.Join("..data", "payment.yaml"), filepath.Join(dir, "payment.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if slos, err := source.Load([]string{dir}); err != nil || len(slos) != 1 {
		t.Errorf("%d SLOs: %v", len(slos), err)
	}
}

func TestDuplicateOverFilesNamesBothPlaces(t *testing.T) {
	dir := t.TempDir()
	content, err := os.ReadFile(folder + "/valid/payment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	a, b := filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")
	for _, path := range []string{a, b} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err = source.Load([]string{dir})
	if err == nil || !strings.Contains(err.Error(), b+":4:") || !strings.Contains(err.Error(), a+", line 4") {
		t.Errorf("got %v", err)
	}
}
