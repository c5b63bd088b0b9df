package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
)

// ErrNotEmpty is a database that holds something, which a restore would
// overwrite.
var ErrNotEmpty = errors.New("the database is not empty")

// Restore fills the database that c names from a backup, and brings its schema
// up to date. No Midwatch may run on it. A SQLite file is made when there is
// none. The error is ErrNotEmpty (wrapped) for a database that holds anything,
// ErrBackup for what is no whole backup, ErrNewer for one that a newer Midwatch
// made, ErrInUse while a Midwatch runs; then the database is left empty, or as
// it was.
func Restore(ctx context.Context, c Config, r io.Reader) error {
	f, header, err := spool(r)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer f.Close()
	switch {
	case c.Path != "" && c.URL == "":
		err = restoreSQLite(ctx, c.Path, f, header)
	case c.URL != "" && c.Path == "":
		err = restorePostgres(ctx, c.URL, f, header)
	default:
		err = errors.New("there must be a path, or a URL")
	}
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func restoreSQLite(ctx context.Context, path string, backup io.Reader, header archiveHeader) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	held, err := lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer held.Close() //nolint:errcheck // Nothing was written to it.
	_, missing := os.Stat(path)
	defer func() {
		if err != nil && errors.Is(missing, os.ErrNotExist) {
			err = errors.Join(err, removeSQLite(path))
		}
	}()
	if err = private(path); err != nil {
		return err
	}
	db, err := openWriting(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return restoration{db: db, dialect: sqlite, header: header, connect: func() (session, error) {
		return newLiteSession(ctx, db, "BEGIN IMMEDIATE")
	}}.run(ctx, backup)
}

// removeSQLite removes a database that was made in vain.
func removeSQLite(path string) error {
	var errs []error
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + end); !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func restorePostgres(ctx context.Context, url string, backup io.Reader, header archiveHeader) error {
	config, err := parseURL(url)
	if err != nil {
		return err
	}
	turn, err := turnToMigrate(ctx, config)
	if err != nil {
		return err
	}
	defer turn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // It is of no more use.
	db := stdlib.OpenDB(*config)
	s := &Postgres{config: &config.Config}
	err = restoration{db: db, dialect: postgres, header: header, connect: func() (session, error) {
		return s.session(ctx, time.Minute, locked()...), nil
	}}.run(ctx, backup)
	return errors.Join(err, db.Close())
}

// restoration fills a database.
type restoration struct {
	db      *sql.DB
	dialect dialect
	header  archiveHeader
	connect func() (session, error)
}

func (r restoration) run(ctx context.Context, backup io.Reader) error {
	p, err := migrator(r.db, r.dialect)
	if err != nil {
		return err
	}
	if known := schema(p); r.header.Schema > known {
		return fmt.Errorf("%w: the backup's is %d, known are those up to %d", ErrNewer, r.header.Schema, known)
	}
	if err := migrate(ctx, r.db, r.dialect); err != nil {
		return err
	}
	if err := r.within(ctx, (*Tx).empty); err != nil {
		return err
	}
	if err := r.downgrade(ctx, p); err != nil {
		return err
	}
	err = r.within(ctx, func(t *Tx) error { return t.load(backup) })
	if _, up := p.Up(ctx); up != nil {
		return errors.Join(err, fmt.Errorf("migrate: %w", up))
	}
	if err != nil {
		return err
	}
	return r.within(ctx, (*Tx).settleIn)
}

// downgrade takes the schema, of an empty database, back to that of the
// backup: what migrations do to rows is then done to the backup's.
func (r restoration) downgrade(ctx context.Context, p *goose.Provider) error {
	if r.header.Schema == schema(p) {
		return nil
	}
	if !slices.ContainsFunc(p.ListSources(), func(s *goose.Source) bool { return s.Version == r.header.Schema }) {
		return fmt.Errorf("%w: there was no schema %d", ErrBackup, r.header.Schema)
	}
	if _, err := p.DownTo(ctx, r.header.Schema); err != nil {
		return fmt.Errorf("prepare schema %d: %w", r.header.Schema, err)
	}
	return nil
}

// within runs f in a transaction, which it commits when f returns no error.
func (r restoration) within(ctx context.Context, f func(*Tx) error) (err error) {
	s, err := r.connect()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.begin(ctx); err != nil {
		return err
	}
	if err := f(&Tx{ctx: ctx, s: s, dialect: r.dialect}); err != nil {
		return errors.Join(err, s.rollback(context.WithoutCancel(ctx)))
	}
	return s.commit(ctx)
}

// empty returns an error unless the database holds nothing and nobody uses it.
func (t *Tx) empty() error {
	if t.dialect == postgres {
		live, err := collect(t, scanString, "SELECT id FROM replicas WHERE beat_at > "+serverTime+" - ?", deadAfter.Milliseconds())
		if err != nil {
			return err
		}
		if len(live) > 0 {
			return fmt.Errorf("%w: %s", ErrInUse, live[0])
		}
	}
	for _, of := range tables() {
		_, any, err := first(t, scanID, "SELECT 1 FROM "+of.name+" LIMIT 1")
		if err != nil {
			return err
		}
		if any {
			return fmt.Errorf("%w: there are %s", ErrNotEmpty, of.name)
		}
	}
	return nil
}

// load adds all rows of a backup.
func (t *Tx) load(backup io.Reader) error {
	l := loader{tx: t}
	err := readArchive(backup, archiveVisitor{
		header: func(archiveHeader) error { return nil },
		table:  l.table,
		row:    l.row,
	})
	if err == nil {
		err = l.flush()
	}
	return err
}

// settleIn makes what was loaded ready to be worked with: nobody has claimed
// anything, and numbers go on where they were, which SQLite sees to by itself.
func (t *Tx) settleIn() error {
	err := t.exec(freeing + "leased_until > 0")
	for _, of := range tables() {
		if of.serial() && t.dialect == postgres {
			err = errors.Join(err, t.exec("SELECT setval(pg_get_serial_sequence('"+of.name+"', 'id'), MAX(id)) FROM "+of.name))
		}
	}
	return err
}

// loader adds rows, many at a time.
type loader struct {
	tx      *Tx
	name    string
	columns []string
	rows    [][]any
}

// table goes on with another table. Its names come from a file: only those
// that the database has are let through to it.
func (l *loader) table(t archiveTable) error {
	if err := l.flush(); err != nil {
		return err
	}
	if !slices.ContainsFunc(tables(), func(of table) bool { return of.name == t.Table }) {
		return fmt.Errorf("%w: there is no table %q", ErrBackup, t.Table)
	}
	has, err := l.tx.columns(t.Table)
	if err != nil {
		return err
	}
	for _, c := range t.Columns {
		if !slices.Contains(has, c) {
			return fmt.Errorf("%w: table %s has no column %q", ErrBackup, t.Table, c)
		}
	}
	l.name, l.columns = t.Table, t.Columns
	return nil
}

func (l *loader) row(values []any) error {
	l.rows = append(l.rows, values)
	if len(l.rows) < backupPart {
		return nil
	}
	return l.flush()
}

func (l *loader) flush() error {
	if len(l.rows) == 0 {
		return nil
	}
	rows := l.rows
	l.rows = nil
	for _, row := range rows {
		clean(row)
	}
	if _, err := l.tx.s.insert(l.tx.ctx, l.name, l.columns, "", rows); err != nil {
		return fmt.Errorf("fill %s: %w", l.name, err)
	}
	return nil
}
