package servers

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

func TestPostgresKeepsWhatItHasCommittedWhenItIsKilled(t *testing.T) {
	spec := PostgresSpec{Dir: t.TempDir(), Password: "it's a §secret/?"}
	p, err := StartPostgres(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	url, err := p.CreateDatabase(t.Context(), `a "b`)
	if err != nil {
		t.Fatal(err)
	}
	ask(t, url, "CREATE TABLE kept AS SELECT current_setting('fsync') AS fsync")
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if p, err = StartPostgres(t.Context(), PostgresSpec{Dir: spec.Dir, Listen: p.url.Host, Password: spec.Password}); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, url, "SELECT fsync FROM kept"); got != "on" {
		t.Errorf("fsync is %q", got)
	}
	begun := time.Now()
	c, err := pgx.Connect(t.Context(), url) // a client that stays does not keep it from stopping
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	if err := p.Stop(); err != nil || time.Since(begun) > stopGrace {
		t.Errorf("stopped after %s: %v", time.Since(begun), err)
	}
}

// ask returns the first value of the answer, "" when there is none.
func ask(t *testing.T, url, query string) (value string) {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(t.Context())
	rows, err := c.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() {
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return value
}
