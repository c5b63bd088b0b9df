package store

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// pragma sets something of the connection that writes, which is idle.
func pragma(t *testing.T, s *SQLite, set string) {
	t.Helper()
	if err := s.writer.session.exec(t.Context(), "PRAGMA "+set, nil); err != nil {
		t.Fatal(err)
	}
}

// While there is no room or the file cannot be written, updates fail whole and
// what there is can be read; after that all goes on.
func TestAFullDiskTakesNothingAway(t *testing.T) {
	s, err := OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "midwatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 4000)
	kept := 0
	note := func(t *Tx) error {
		for i := range 20 { // several pages of the file, so that some of it fits
			if err := t.SetMark(fmt.Sprint(kept, "/", i), long); err != nil {
				return err
			}
		}
		return nil
	}
	fill := func(times int) (failed bool) {
		for range times {
			if err := s.Update(t.Context(), note); err != nil {
				return true
			}
			kept++
		}
		return false
	}
	check := func(when string) {
		t.Helper()
		err := s.View(t.Context(), func(tx *Tx) error {
			n, _, err := first(tx, scanID, "SELECT COUNT(*) FROM marks")
			if n != int64(20*kept) {
				t.Errorf("%s: %d marks, want %d", when, n, 20*kept)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	pragma(t, s, "max_page_count = 200")
	if !fill(100) || kept == 0 {
		t.Fatalf("kept %d times too much for the disk", kept)
	}
	check("full")
	pragma(t, s, "max_page_count = 100000")
	if fill(10) {
		t.Error("there is room again, and nothing is kept")
	}
	check("not full any more")
	pragma(t, s, "query_only = 1")
	if !fill(1) {
		t.Error("wrote to a file that is only to be read")
	}
	check("read-only")
	pragma(t, s, "query_only = 0")
	if fill(1) {
		t.Error("the file can be written again, and nothing is kept")
	}
	check("not read-only any more")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
