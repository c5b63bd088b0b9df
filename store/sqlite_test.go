package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/store/storetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(claimVar); url != "" {
		os.Exit(claimAndWait(url))
	}
	goleak.VerifyTestMain(m)
}

func open(t *testing.T, path string) *store.SQLite {
	t.Helper()
	s, err := store.OpenSQLite(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openAny(t *testing.T, c store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSQLiteKeepsTheContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store {
		return openAny(t, store.Config{Path: filepath.Join(t.TempDir(), "a b?c#d%.db")}) // a path that a URL would mangle
	})
}

var t0 = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)

func TestOpenedAgainItFreesWhatWasClaimed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midwatch.db")
	s := open(t, path)
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		id, err := tx.AddIncident(alert.Incident{Key: "a", Level: alert.P1, Status: alert.Open})
		if err != nil {
			return err
		}
		p := page.Page{Key: "k", To: page.Contact{Channel: "wecom"}, Incident: alert.Incident{ID: id}}
		if err := tx.Enqueue(t0, p); err != nil {
			return err
		}
		claimed, err := tx.Claim("wecom", t0, t0.Add(time.Hour), 1)
		if len(claimed) != 1 {
			t.Errorf("claimed %v", claimed)
		}
		return err
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	defer s.Close()
	err = s.Update(t.Context(), func(tx *store.Tx) error {
		pages, err := tx.Claim("wecom", t0, t0.Add(time.Hour), 1)
		if len(pages) != 1 || pages[0].Key != "k" {
			t.Errorf("claimed %v", pages)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestADatabaseHasOneOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midwatch.db")
	s := open(t, path)
	if _, err := store.OpenSQLite(t.Context(), path); !errors.Is(err, store.ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, path).Close(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoDatabaseIsNotOpened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midwatch.db")
	if err := os.WriteFile(path, []byte("this is a letter, and a longer one than a database's header"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenSQLite(t.Context(), path); err == nil {
		t.Error("opened a letter")
	}
	if _, err := store.OpenSQLite(t.Context(), filepath.Join(t.TempDir(), "none", "midwatch.db")); err == nil {
		t.Error("opened in a folder that is not there")
	}
}

// Every update that Close finds queued is answered, and with the truth.
func TestCloseFinishesWhatIsQueued(t *testing.T) {
	path := filepath.Join(t.TempDir(), "midwatch.db")
	s := open(t, path)
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		kept = map[string]bool{}
	)
	for i := range 64 {
		all.Go(func() {
			key := string(rune('A' + i))
			err := s.Update(context.WithoutCancel(t.Context()), func(tx *store.Tx) error {
				_, err := tx.AddIncident(alert.Incident{Key: key, Status: alert.Open})
				return err
			})
			if err != nil && !errors.Is(err, store.ErrClosed) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			kept[key] = err == nil
		})
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	all.Wait()
	s = open(t, path)
	defer s.Close()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		list, err := tx.ListIncidents(true, 100)
		found := map[string]bool{}
		for _, inc := range list {
			found[inc.Key] = true
		}
		for key, answered := range kept {
			if found[key] != answered {
				t.Errorf("%s: answered %t, found %t", key, answered, found[key])
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
