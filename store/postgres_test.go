package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/store"
	"github.com/midwatch-slo/midwatch/store/storetest"
)

// databases makes empty databases on one real server.
type databases struct {
	server *servers.Postgres
	made   atomic.Int64
}

func newDatabases(t *testing.T) *databases {
	t.Helper()
	p, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return &databases{server: p}
}

func (d *databases) url(t *testing.T) string {
	t.Helper()
	url, err := d.server.CreateDatabase(t.Context(), fmt.Sprint("midwatch", d.made.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	return url
}

func openPostgres(t *testing.T, url string) *store.Postgres {
	t.Helper()
	s, err := store.OpenPostgres(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPostgresKeepsTheContract(t *testing.T) {
	d := newDatabases(t)
	storetest.Run(t, func(t *testing.T) storetest.Store { return openAny(t, store.Config{URL: d.url(t)}) })
}
