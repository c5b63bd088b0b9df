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
	spec   servers.PostgresSpec
	server *servers.Postgres
	made   atomic.Int64
}

func newDatabases(t *testing.T) *databases {
	t.Helper()
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	d := &databases{spec: servers.PostgresSpec{Dir: t.TempDir(), Listen: addr, Password: "it's secret"}}
	d.restart(t)
	t.Cleanup(func() {
		if err := d.server.Discard(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// restart starts the server, which does not run.
func (d *databases) restart(t *testing.T) {
	t.Helper()
	p, err := servers.StartPostgres(t.Context(), d.spec)
	if err != nil {
		t.Fatal(err)
	}
	d.server = p
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
