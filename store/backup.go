package store

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// table is one that a backup holds.
type table struct {
	name string
	key  []string // that its rows are ordered by
}

// serial tells whether the key is a number that the database gives out.
func (t table) serial() bool { return len(t.key) == 1 && t.key[0] == "id" && t.name != "silences" }

// tables are all that hold state, those before others that refer to them.
// Which replicas live is none.
func tables() []table {
	return []table{
		{"incidents", []string{"id"}},
		{"alerts", []string{"id"}},
		{"events", []string{"id"}},
		{"pages", []string{"id"}},
		{"drills", []string{"incident_id"}},
		{"page_refs", []string{"incident_id", "channel", "address"}},
		{"inhibitors", []string{"key", "alert_id"}},
		{"recoveries", []string{"incident_id"}},
		{"silences", []string{"id"}},
		{"heartbeats", []string{"cluster"}},
		{"marks", []string{"name"}},
		{"audit", []string{"id"}},
		{"overrides", []string{"id"}},
		{"jobs", []string{"name"}},
	}
}

// backupPart is how many rows are read or written at a time.
const backupPart = 500

// Backup writes all state to w as it is at one moment, while others go on.
// Restore reads it, into either kind of database.
func (s *Store) Backup(ctx context.Context, w io.Writer) error {
	err := s.View(ctx, func(t *Tx) error { return t.backup(w) })
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

func (t *Tx) backup(w io.Writer) error {
	schema, _, err := first(t, scanID, "SELECT MAX(version_id) FROM goose_db_version")
	if err != nil {
		return err
	}
	a, err := newArchive(w, schema)
	if err != nil {
		return err
	}
	for _, of := range tables() {
		if err := t.backupTable(a, of); err != nil {
			return fmt.Errorf("table %s: %w", of.name, err)
		}
	}
	return a.finish()
}

func (t *Tx) backupTable(a *archiveWriter, of table) error {
	columns, err := t.columns(of.name)
	if err != nil {
		return err
	}
	if err := a.table(of.name, columns); err != nil {
		return err
	}
	query := "SELECT " + strings.Join(columns, ", ") + " FROM " + of.name
	order := " ORDER BY " + strings.Join(of.key, ", ") + " LIMIT ?"
	if !of.serial() {
		return t.backupSmall(a, query+order+" OFFSET ?", len(columns))
	}
	id := slices.Index(columns, "id")
	for after := any(int64(-1 << 63)); ; {
		rows, err := collect(t, scanAny(len(columns)), query+" WHERE id > ?"+order, after, backupPart)
		if err != nil {
			return err
		}
		if err := a.all(rows); err != nil || len(rows) < backupPart {
			return err
		}
		after = rows[len(rows)-1][id]
	}
}

// backupSmall writes a table whose key is no number, of which there are few
// rows.
func (t *Tx) backupSmall(a *archiveWriter, query string, columns int) error {
	for skip := 0; ; skip += backupPart {
		rows, err := collect(t, scanAny(columns), query, backupPart, skip)
		if err != nil {
			return err
		}
		if err := a.all(rows); err != nil || len(rows) < backupPart {
			return err
		}
	}
}

func (a *archiveWriter) all(rows [][]any) error {
	for _, row := range rows {
		if err := a.row(row); err != nil {
			return err
		}
	}
	return nil
}

// columns returns the names of a table's columns.
func (t *Tx) columns(table string) ([]string, error) {
	r, err := t.s.query(t.ctx, "SELECT * FROM "+table+" WHERE 1 = 0", nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	names, err := r.Columns()
	if err != nil {
		return nil, err
	}
	for r.Next() { // to the end, where errors are
	}
	return names, r.Err()
}

func scanAny(n int) func(scanner, *[]any) error {
	return func(r scanner, row *[]any) error {
		*row = make([]any, n)
		to := make([]any, n)
		for i := range to {
			to[i] = &(*row)[i]
		}
		return r.Scan(to...)
	}
}

// spool copies a backup to a file that is gone when it is closed, and sees
// that it is whole: what is read from it later is not interrupted.
func spool(r io.Reader) (*os.File, archiveHeader, error) {
	var header archiveHeader
	f, err := os.CreateTemp("", "midwatch-restore-")
	if err != nil {
		return nil, header, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, r)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = readArchive(f, archiveVisitor{
			header: func(h archiveHeader) error { header = h; return nil },
			table:  func(archiveTable) error { return nil },
			row:    func([]any) error { return nil },
		})
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, header, err
	}
	return f, header, nil
}
