package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// copySQLite copies a database as it is at one moment to a new file. Whoever
// serves from it goes on: it is read as SQLite's own readers do, and neither
// written to nor brought up to date.
func copySQLite(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil { // SQLite would make it
		return err
	}
	path, err := filepath.Abs(from)
	if err != nil {
		return err
	}
	q := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String())
	if err != nil {
		return err
	}
	if _, err = db.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		err = fmt.Errorf("vacuum: %w", err)
	} else {
		err = os.Chmod(to, 0o600)
	}
	return errors.Join(err, db.Close())
}
