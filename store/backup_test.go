package store_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/store"
)

// fill keeps something of everything.
func fill(t *testing.T, s *store.Store, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		for i := range n {
			inc := alert.Incident{Key: fmt.Sprint("k", i), Title: "预算 \"quoted\" \\ \n", Level: alert.P1, Status: alert.Open, OpenedAt: t0}
			id, err := tx.AddIncident(inc)
			if err != nil {
				return err
			}
			inc.ID = id
			a := &alert.Alert{IncidentID: id, Labels: model.LabelSet{"i": model.LabelValue(inc.Key)}, State: alert.Firing, StartsAt: t0, EndsAt: t0}
			p := page.Page{Key: inc.Key, At: t0, Incident: inc, To: page.Contact{User: "zhang", Channel: "wecom"}}
			if err := errors.Join(tx.AddAlerts([]*alert.Alert{a}), tx.AddEvents(id, alert.Event{At: t0, Text: "x"}), tx.Enqueue(t0, p)); err != nil {
				return err
			}
		}
		_, err := tx.AddOverride(store.Override{Schedule: "first", User: "li", From: t0, Until: t0.Add(time.Hour)})
		_, errOnce := tx.Once("report", t0)
		return errors.Join(err, errOnce, tx.Audit(t0, "zhang", "ui", "ack", "incident 1", ""), tx.SaveSilence(silence.Silence{ID: "s", EndsAt: t0}),
			tx.SaveEvidence(1, []page.Evidence{{Source: "logs"}}), tx.SetMark("a", "b"))
	})
	if err != nil {
		t.Fatal(err)
	}
}

func backup(t *testing.T, s *store.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lines returns what a backup says, but for when it was made.
func lines(t *testing.T, backup []byte) []string {
	t.Helper()
	all := unzipped(t, backup)
	return all[1 : len(all)-1]
}

// From SQLite to PostgreSQL and back nothing changes, and numbers go on.
func TestABackupMovesBetweenDatabases(t *testing.T) {
	d := newDatabases(t)
	from := openAny(t, store.Config{Path: filepath.Join(t.TempDir(), "from.db")})
	defer from.Close()
	fill(t, from, 1200)
	first := backup(t, from)
	for _, c := range []store.Config{{URL: d.url(t)}, {Path: filepath.Join(t.TempDir(), "to.db")}} {
		if err := store.Restore(t.Context(), c, bytes.NewReader(first)); err != nil {
			t.Fatal(err)
		}
		to := openAny(t, c)
		if diff := cmp.Diff(lines(t, first), lines(t, backup(t, to))); diff != "" {
			t.Errorf("%+v: %s", c, diff)
		}
		err := to.Update(t.Context(), func(tx *store.Tx) error {
			id, err := tx.AddIncident(alert.Incident{Key: "next", Status: alert.Open})
			if id != 1201 {
				t.Errorf("the next incident is %d", id)
			}
			return err
		})
		if err := errors.Join(err, to.Close()); err != nil {
			t.Error(err)
		}
		if err := store.Restore(t.Context(), c, bytes.NewReader(first)); !errors.Is(err, store.ErrNotEmpty) {
			t.Errorf("restored over what is there: %v", err)
		}
	}
}

// A backup is of one moment, though updates go on: each adds one incident and
// one row to the audit, and a backup has as many of the one as of the other.
func TestABackupIsOfOneMoment(t *testing.T) {
	d := newDatabases(t)
	for _, c := range []store.Config{{URL: d.url(t)}, {Path: filepath.Join(t.TempDir(), "midwatch.db")}} {
		s := openAny(t, c)
		stop, done := make(chan struct{}), make(chan error)
		go func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					close(done)
					return
				default:
				}
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					_, err := tx.AddIncident(alert.Incident{Key: fmt.Sprint(i), Status: alert.Open})
					return errors.Join(err, tx.Audit(t0, "a", "", "", "", ""))
				})
				if err != nil {
					done <- err
					return
				}
			}
		}()
		for range 5 {
			rows := map[string]int{}
			table := ""
			for _, line := range lines(t, backup(t, s)) {
				if name, ok := strings.CutPrefix(line, `{"table":"`); ok {
					table, _, _ = strings.Cut(name, `"`)
				} else {
					rows[table]++
				}
			}
			if rows["incidents"] != rows["audit"] {
				t.Errorf("%d incidents, %d rows in the audit", rows["incidents"], rows["audit"])
			}
		}
		close(stop)
		if err := errors.Join(<-done, s.Close()); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsNoWholeBackupIsNotRestored(t *testing.T) {
	d := newDatabases(t)
	s := openAny(t, store.Config{Path: filepath.Join(t.TempDir(), "from.db")})
	fill(t, s, 700)
	whole := backup(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(unzipped(t, whole), "\n") + "\n"
	url := d.url(t)
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"a letter":          []byte("Dear Midwatch"),
		"a zipped letter":   zipped("Dear Midwatch\n"),
		"cut off":           whole[:len(whole)-1],
		"half":              whole[:len(whole)/2],
		"without an end":    zipped(text[:strings.LastIndex(text, `{"rows"`)]),
		"a changed row":     zipped(strings.Replace(text, "zhang", "li", 1)),
		"a row too many":    zipped(strings.Replace(text, `{"rows":`, "[]\n"+`{"rows":`, 1)),
		"something after":   append(bytes.Clone(whole), zipped("[1]\n")...),
		"another's backup":  zipped(strings.Replace(text, "midwatch backup", "their backup", 1)),
		"a later version":   zipped(strings.Replace(text, `"version":1`, `"version":2`, 1)),
		"a table of theirs": zipped(signed(strings.Replace(text, `"table":"audit"`, `"table":"pg_authid"`, 1))),
		"an odd column":     zipped(signed(strings.Replace(text, `"actor"`, `"actor) SELECT 1 --"`, 1))),
		"a row that breaks": zipped(signed(strings.Replace(text, `"first","li"`, `null,"li"`, 1))), // the last table but two
		"a newer schema":    zipped(signed(strings.Replace(text, `"schema":`, `"schema":9`, 1))),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "to.db")
			err := store.Restore(t.Context(), store.Config{Path: path}, bytes.NewReader(b))
			if err == nil {
				t.Error("restored into SQLite")
			}
			if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a file is left: %v", err)
			}
			if err := store.Restore(t.Context(), store.Config{URL: url}, bytes.NewReader(b)); err == nil {
				t.Error("restored into PostgreSQL")
			}
		})
	}
	if err := store.Restore(t.Context(), store.Config{URL: url}, bytes.NewReader(whole)); err != nil {
		t.Errorf("after all these the database is not empty, or not whole: %v", err)
	}
}

func TestARunningMidwatchIsNotRestoredInto(t *testing.T) {
	d := newDatabases(t)
	for _, c := range []store.Config{{URL: d.url(t)}, {Path: filepath.Join(t.TempDir(), "midwatch.db")}} {
		s := openAny(t, c)
		if err := store.Restore(t.Context(), c, bytes.NewReader(backup(t, s))); !errors.Is(err, store.ErrInUse) {
			t.Errorf("restored: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func unzipped(t *testing.T, b []byte) []string {
	t.Helper()
	zip, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}
