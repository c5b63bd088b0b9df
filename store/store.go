package store

import (
	"context"
	"errors"
	"fmt"
)

// Config says where the state is: in one SQLite file of one process, or in a
// PostgreSQL database that replicas share. One of both is required.
type Config struct {
	Path string // of a SQLite file, made when there is none
	URL  string // of a PostgreSQL database; it may hold a password
}

// backend is a database.
type backend interface {
	Update(ctx context.Context, f func(*Tx) error) error
	UpdateLater(ctx context.Context, f func(*Tx) error) error
	Claim(ctx context.Context, f func(*Tx) error) error
	View(ctx context.Context, f func(*Tx) error) error
	Close() error
}

var (
	_ backend = (*SQLite)(nil)
	_ backend = (*Postgres)(nil)
)

// Store keeps state, in whichever database. Its methods are safe for
// concurrent use.
type Store struct{ backend backend }

// Open opens the store and brings its schema up to date. The error is ErrInUse
// (wrapped) while another process has the SQLite file open, and ErrNewer when
// a newer Midwatch has changed the schema.
func Open(ctx context.Context, c Config) (*Store, error) {
	switch {
	case c.Path != "" && c.URL != "":
		return nil, errors.New("open store: there is both a path and a URL")
	case c.Path != "":
		s, err := OpenSQLite(ctx, c.Path)
		if err != nil {
			return nil, err
		}
		return &Store{backend: s}, nil
	case c.URL != "":
		s, err := OpenPostgres(ctx, c.URL)
		if err != nil {
			return nil, err
		}
		return &Store{backend: s}, nil
	}
	return nil, errors.New("open store: there is neither a path nor a URL")
}

// Update runs f in a transaction and returns once it is committed and synced.
// It runs as if alone, beside no other update of any replica: it must be quick.
// On an error, f's own or another, f has had no effect; only when the
// connection to PostgreSQL breaks during the commit does nobody know.
func (s *Store) Update(ctx context.Context, f func(*Tx) error) error { return s.backend.Update(ctx, f) }

// UpdateLater is Update for what can wait a moment: of the updates that wait
// here, those that cannot go first.
func (s *Store) UpdateLater(ctx context.Context, f func(*Tx) error) error {
	return s.backend.UpdateLater(ctx, f)
}

// Claim runs f in a transaction beside updates and other claims, for queries
// that lock what they take. With SQLite it is an update.
func (s *Store) Claim(ctx context.Context, f func(*Tx) error) error { return s.backend.Claim(ctx, f) }

// View runs f on one consistent state of the store, which f cannot change.
func (s *Store) View(ctx context.Context, f func(*Tx) error) error { return s.backend.View(ctx, f) }

// Close finishes the updates that were accepted, waits for the views that run
// and leaves the database. Whatever comes later is answered with ErrClosed.
func (s *Store) Close() error {
	if err := s.backend.Close(); err != nil {
		return fmt.Errorf("close store: %w", err)
	}
	return nil
}
