package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

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
	d := &databases{spec: servers.PostgresSpec{
		Dir: t.TempDir(), Listen: addr, Password: "it's secret", Settings: []string{"fsync=off"}, // no test cuts the power
	}}
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
	url := newDatabases(t).url(t)
	c := admin(t, url)
	storetest.Run(t, func(t *testing.T) storetest.Store {
		s := openAny(t, store.Config{URL: url})
		empty(t, c)
		return s
	})
}

// empty removes all rows: that takes less time than to make a database.
func empty(t *testing.T, c *pgx.Conn) {
	t.Helper()
	var tables string
	err := c.QueryRow(t.Context(), `SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables
		WHERE schemaname = 'public' AND tablename NOT IN ('goose_db_version', 'replicas')`).Scan(&tables)
	if err == nil {
		_, err = c.Exec(t.Context(), "TRUNCATE "+tables+" RESTART IDENTITY CASCADE")
	}
	if err != nil {
		t.Fatal(err)
	}
}
