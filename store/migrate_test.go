package store

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// onBoth runs a test on an empty database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, d dialect, db *sql.DB, c Config)) {
	t.Run("sqlite", func(t *testing.T) {
		c := Config{Path: filepath.Join(t.TempDir(), "midwatch.db")}
		db, err := openWriting(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		test(t, sqlite, db, c)
	})
	t.Run("postgresql", func(t *testing.T) {
		p, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir(), Settings: []string{"fsync=off"}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := p.Discard(); err != nil {
				t.Error(err)
			}
		}()
		url, err := p.CreateDatabase(t.Context(), "midwatch")
		if err != nil {
			t.Fatal(err)
		}
		config, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		test(t, postgres, stdlib.OpenDB(*config), Config{URL: url})
	})
}

// A database of the first release is brought up to date, and nothing of what
// it holds is lost.
func TestTheFirstReleasesDatabaseIsBroughtUpToDate(t *testing.T) {
	rows, err := os.ReadFile(filepath.Join("testdata", "schema-00001.sql"))
	if err != nil {
		t.Fatal(err)
	}
	onBoth(t, func(t *testing.T, d dialect, db *sql.DB, c Config) {
		p, err := migrator(db, d)
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.UpTo(t.Context(), 1)
		if err == nil {
			_, err = db.ExecContext(t.Context(), string(rows))
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), checkFirstRelease(t))
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

func checkFirstRelease(t *testing.T) func(*Tx) error {
	return func(tx *Tx) error {
		list, err := tx.ListIncidents(true, 10)
		if len(list) != 3 || list[0].Key != list[2].Key || list[1].Title != "预算在燃烧" || len(list[0].Alerts) != 1 || list[2].AckedBy != "zhang" {
			t.Errorf("incidents %+v", list)
		}
		found, errFound := tx.UnresolvedIncidents([]string{"Down"})
		if len(found) != 1 || found[0].Status != alert.Acknowledged || !found[0].Stale {
			t.Errorf("unresolved %+v", found)
		}
		events, errEvents := tx.Events(1)
		if len(events) != 2 || events[1].Actor != "zhang" {
			t.Errorf("events %+v", events)
		}
		_, looked, errEvidence := tx.Evidence(1)
		if !looked {
			t.Error("nobody looked for evidence")
		}
		due, errDue := tx.DuePages() // also what was in the middle of being sent
		if len(due) != 2 || due["wecom"].UnixMilli() != 1795230000000 || due["email"].UnixMilli() != 1795230120000 {
			t.Errorf("due %v", due)
		}
		return errors.Join(err, errFound, errEvents, errEvidence, errDue)
	}
}

func TestMigrationsGoDownAndUp(t *testing.T) {
	onBoth(t, func(t *testing.T, d dialect, db *sql.DB, _ Config) {
		p, err := migrator(db, d)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := migrate(t.Context(), db, d); err != nil {
				t.Fatal(err)
			}
			if _, err := p.DownTo(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestANewerSchemaIsLeftAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, d dialect, db *sql.DB, c Config) {
		err := migrate(t.Context(), db, d)
		if err == nil {
			_, err = db.ExecContext(t.Context(), "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, "+
				map[dialect]string{sqlite: "1", postgres: "true"}[d]+")")
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), c); !errors.Is(err, ErrNewer) {
			t.Errorf("opened: %v", err)
		}
	})
}

// Whoever adds a table must say how it is backed up.
func TestABackupHoldsAllTables(t *testing.T) {
	db, err := openWriting(filepath.Join(t.TempDir(), "midwatch.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := migrate(t.Context(), db, sqlite); err != nil {
		t.Fatal(err)
	}
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		known := slices.ContainsFunc(tables(), func(of table) bool { return of.name == name })
		if !known && name != "goose_db_version" && name != "replicas" {
			t.Errorf("table %s is in no backup", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Error(err)
	}
}

// A backup of an older schema is taken through the migrations since.
func TestABackupOfAnOlderSchemaIsMigrated(t *testing.T) {
	onBoth(t, func(t *testing.T, _ dialect, db *sql.DB, c Config) {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		a, err := newArchive(&b, 1)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(a.table("incidents", strings.Split("id key service slo title level status stale since opened_at acked_at acked_by resolved_at resolved_by round next_page_at", " ")),
			a.row([]any{7, "k", "", "", "t", 1, "open", 0, 0, 0, 0, "", 0, "", 1, 0}),
			a.table("pages", strings.Split("id key incident_id kind round level username full_name channel address timezone at state attempt due_at leased_until settled_at reason", " ")),
			a.row([]any{1, "p", 7, "opened", 1, 1, "zhang", "", "wecom", "", "", 5, "queued", 0, 5, 0, 0, ""}), a.finish())
		if err != nil {
			t.Fatal(err)
		}
		if err := Restore(t.Context(), c, &b); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		err = s.View(t.Context(), func(tx *Tx) error {
			due, err := tx.DuePages() // by the lane, which a migration fills
			if len(due) != 1 || due["wecom"].UnixMilli() != 5 {
				t.Errorf("due %v", due)
			}
			return err
		})
		if err := errors.Join(err, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

func FuzzReadArchive(f *testing.F) {
	var b bytes.Buffer
	a, err := newArchive(&b, 4)
	if err != nil {
		f.Fatal(err)
	}
	err = errors.Join(a.table("marks", []string{"name", "value"}), a.row([]any{"a", nil}), a.row([]any{int64(-1 << 63), "\u2028值"}), a.finish())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes(), false)
	zip, err := gzip.NewReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		f.Fatal(err)
	}
	text, err := io.ReadAll(zip)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text, true)
	f.Add([]byte(`{"format":"midwatch backup","version":1,"schema":4}`+"\n"+`{"table":"t","columns":[]}`), true)
	f.Add([]byte(`{"format":"midwatch backup","version":1,"schema":4}`+"\n[1e999]\n[[[[]]]]"), true)
	f.Fuzz(func(t *testing.T, b []byte, zip bool) {
		if zip {
			var z bytes.Buffer
			w := gzip.NewWriter(&z)
			_, _ = w.Write(b)
			_ = w.Close()
			b = z.Bytes()
		}
		columns := 0
		_ = readArchive(bytes.NewReader(b), archiveVisitor{ // it may be a backup, or none
			header: func(h archiveHeader) error {
				if h.Format != archiveFormat {
					t.Errorf("format %q", h.Format)
				}
				return nil
			},
			table: func(of archiveTable) error { columns = len(of.Columns); return nil },
			row: func(values []any) error {
				if len(values) != columns {
					t.Errorf("%d values in %d columns", len(values), columns)
				}
				for _, v := range values {
					switch v.(type) {
					case nil, string, int64, float64:
					default:
						t.Errorf("a %T", v)
					}
				}
				_, err := json.Marshal(values)
				return err
			},
		})
	})
}

func TestToPostgres(t *testing.T) {
	got := string(toPostgres([]byte("-- +goose Up\nCREATE TABLE t (\n id INTEGER PRIMARY KEY AUTOINCREMENT, -- TEXT?\n a TEXT NOT NULL DEFAULT '', b INTEGER, c BLOB);\n")))
	want := "-- +goose Up\nCREATE TABLE t (\n id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, \n" +
		" a TEXT COLLATE \"C\" NOT NULL DEFAULT '', b BIGINT, c BYTEA);\n"
	if got != want {
		t.Errorf("got %s", got)
	}
	for query, want := range map[string]string{
		"a = ? AND b = '?' AND \"?\" = ?": "a = $1 AND b = '?' AND \"?\" = $2",
		"'it''s ?' || ?":                  "'it''s ?' || $1",
	} {
		if got := numbered(query); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
}
