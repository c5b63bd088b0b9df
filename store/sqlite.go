// Package store keeps incidents, alerts, their stories and the outbox of
// pages on disk. What it has answered survives a crash of the process and of
// the machine. It decides nothing: who is paged, and when, is not its matter.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// ErrInUse is a database that another process, or this one, has open.
var ErrInUse = errors.New("another midwatch has the database open")

// ErrClosed is an operation on a store that is closed.
var ErrClosed = errors.New("store is closed")

const readers = 4

// SQLite is a store in one file, of one process. Its writes share commits:
// whatever waits while one is synced to disk goes into the next.
type SQLite struct {
	lock  *sql.DB
	write *sql.DB
	read  *sql.DB

	writer *writer
	idle   chan *liteSession // readers that nobody uses
	once   sync.Once
	closed error
}

// OpenSQLite opens the database at path, made when there is none, brings its
// schema up to date and frees the pages that a dead process had claimed. The
// error is ErrInUse (wrapped) while another process has it open.
func OpenSQLite(ctx context.Context, path string) (*SQLite, error) {
	s, err := openSQLite(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return s, nil
}

func openSQLite(ctx context.Context, path string) (_ *SQLite, err error) {
	s := &SQLite{idle: make(chan *liteSession, readers)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.closeFiles())
		}
	}()
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if s.lock, err = lock(ctx, path+".lock"); err != nil {
		return nil, err
	}
	if err = private(path); err != nil {
		return nil, err
	}
	if s.write, err = openWriting(path); err != nil {
		return nil, err
	}
	if err = migrate(ctx, s.write, sqlite); err != nil {
		return nil, err
	}
	if _, err = s.write.ExecContext(ctx, freeing+"leased_until > 0"); err != nil {
		return nil, fmt.Errorf("free claimed pages: %w", err)
	}
	return s, s.connect(ctx, path)
}

// connect opens the connections that work is done on.
func (s *SQLite) connect(ctx context.Context, path string) (err error) {
	if s.read, err = sql.Open("sqlite", dsn(path, "query_only(1)")); err != nil {
		return err
	}
	for range readers {
		r, err := newLiteSession(ctx, s.read, "BEGIN")
		if err != nil {
			return err
		}
		s.idle <- r
	}
	w, err := newLiteSession(ctx, s.write, "BEGIN IMMEDIATE")
	if err != nil {
		return err
	}
	s.writer = startWriter(ctx, w, liteTx)
	return nil
}

// openWriting opens the one connection that writes.
func openWriting(path string) (*sql.DB, error) {
	// A checkpoint each 16 MiB: each syncs the file once more, which a storm feels.
	db, err := sql.Open("sqlite", dsn(path, "synchronous(FULL)", "foreign_keys(1)", "cache_size(-16000)", "wal_autocheckpoint(4000)"))
	if err == nil {
		db.SetMaxOpenConns(1)
	}
	return db, err
}

func dsn(path string, pragmas ...string) string {
	q := url.Values{"_pragma": append([]string{"busy_timeout(5000)", "journal_mode(WAL)"}, pragmas...)}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String()
}

// lock holds the file at path until the database that it returns is closed or
// the process dies. SQLite's own locks do this alike on all systems.
func lock(ctx context.Context, path string) (*sql.DB, error) {
	q := url.Values{"_pragma": {"busy_timeout(0)", "journal_mode(MEMORY)", "locking_mode(EXCLUSIVE)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	// Locked exclusively, the lock is kept after the commit.
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE; COMMIT"); err != nil {
		return nil, errors.Join(ErrInUse, err, db.Close())
	}
	return db, nil
}

// private makes the file when there is none. It holds people's addresses.
func private(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

func liteTx(ctx context.Context, s session) *Tx { return &Tx{ctx: ctx, s: s, dialect: sqlite} }

// Update runs f in a transaction and returns once it is committed and synced.
// On an error, f's own or another, f has had no effect. f runs beside nothing
// else that writes: it must be quick.
func (s *SQLite) Update(ctx context.Context, f func(*Tx) error) error {
	return s.writer.do(ctx, f)
}

// UpdateLater is Update for what can wait a moment: of the updates that wait
// here, those that cannot go first.
func (s *SQLite) UpdateLater(ctx context.Context, f func(*Tx) error) error {
	return s.writer.doLater(ctx, f)
}

// Claim is Update: in one process nothing is claimed beside an update.
func (s *SQLite) Claim(ctx context.Context, f func(*Tx) error) error { return s.Update(ctx, f) }

// View runs f on one consistent state of the store, which f cannot change.
func (s *SQLite) View(ctx context.Context, f func(*Tx) error) error {
	var r *liteSession
	select {
	case <-ctx.Done():
		return fmt.Errorf("read from store: %w", ctx.Err())
	case r = <-s.idle:
	}
	if r == nil {
		return ErrClosed
	}
	defer func() { s.idle <- r }()
	// A caller that leaves must not leave a transaction behind: when its context
	// ends meanwhile, BEGIN takes effect and returns an error all the same.
	whole := context.WithoutCancel(ctx)
	if err := r.begin(whole); err != nil {
		return fmt.Errorf("read from store: %w", err)
	}
	err := f(liteTx(ctx, r))
	return errors.Join(err, r.rollback(whole))
}

// Close finishes the updates that were accepted, waits for the views that run
// and closes the files. Whatever comes later is answered with ErrClosed.
func (s *SQLite) Close() error {
	s.once.Do(func() {
		s.writer.stop()
		for range readers {
			err := (<-s.idle).close()
			s.closed = errors.Join(s.closed, err)
		}
		close(s.idle)
		s.closed = errors.Join(s.closed, s.writer.session.close(), s.closeFiles())
	})
	return s.closed
}

func (s *SQLite) closeFiles() error {
	var errs []error
	for _, db := range []*sql.DB{s.read, s.write, s.lock} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
