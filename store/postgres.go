package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

const (
	connectTimeout = 5 * time.Second
	pgReaders      = 4

	// The locks that replicas hold against each other, as PostgreSQL's advisory
	// locks name them: "midwatch" in ASCII, and the number after it.
	updateLock  = 0x6d69647761746368
	migrateLock = updateLock + 1
)

// settings of every connection, unless the URL has others. A replica that
// hangs within a transaction loses it, whatever it hangs from, and those that
// wait for it go on.
func settings(idle time.Duration) map[string]string {
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	return map[string]string{
		"application_name":                    "midwatch",
		"enable_seqscan":                      "off", // what was planned while a table was empty is run when it is full
		"jit":                                 "off",
		"client_encoding":                     "UTF8",
		"lock_timeout":                        ms(12 * time.Second),
		"statement_timeout":                   ms(15 * time.Second),
		"idle_in_transaction_session_timeout": ms(idle),
		"tcp_user_timeout":                    ms(10 * time.Second),
		"tcp_keepalives_idle":                 "5",
		"tcp_keepalives_interval":             "2",
		"tcp_keepalives_count":                "3",
	}
}

// idleWriter is how long a replica may hang within an update, which keeps the
// others from theirs. A reader keeps nobody.
const (
	idleWriter = 4 * time.Second
	idleReader = 5 * time.Minute
)

// Postgres is a store in a PostgreSQL database that several processes may
// share. Updates of all of them run one after another, each process' updates
// that wait at the same time in one transaction.
type Postgres struct {
	replica string
	config  *pgconn.Config
	writer  *writer
	claimer *writer
	idle    chan *pgSession
	beat    *heart
	once    sync.Once
	closed  error
}

// OpenPostgres connects to the database at url, such as
// postgres://user:password@host/database, and brings its schema up to date.
// Errors do not show the password.
func OpenPostgres(ctx context.Context, url string) (*Postgres, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("open database: it is no URL of a PostgreSQL: %w", errors.Unwrap(err))
	}
	s := &Postgres{replica: replicaName(), config: &config.Config, idle: make(chan *pgSession, pgReaders)}
	if s.config.ConnectTimeout == 0 || s.config.ConnectTimeout > connectTimeout {
		s.config.ConnectTimeout = connectTimeout
	}
	if err := s.open(ctx, config); err != nil {
		return nil, fmt.Errorf("open database %s at %s: %w", config.Database, config.Host, err)
	}
	return s, nil
}

// replicaName tells this process from all others, also from one that had the
// same number before.
func replicaName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:8])
}

func (s *Postgres) open(ctx context.Context, config *pgx.ConnConfig) error {
	if err := migratePostgres(ctx, config); err != nil {
		return err
	}
	for range pgReaders {
		s.idle <- &pgSession{config: s.with(idleReader), beginning: []string{"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"}}
	}
	s.claimer = startWriter(ctx, &pgSession{config: s.with(idleWriter), beginning: []string{"BEGIN"}}, s.tx)
	s.writer = startWriter(ctx, &pgSession{
		config:    s.with(idleWriter),
		beginning: []string{"BEGIN", "SELECT pg_advisory_xact_lock(" + strconv.Itoa(updateLock) + ")"},
	}, s.tx)
	var err error
	if s.beat, err = startHeart(ctx, s); err != nil {
		s.claimer.stop()
		s.writer.stop()
	}
	return err
}

// with returns the configuration of a connection.
func (s *Postgres) with(idle time.Duration) *pgconn.Config {
	c := s.config.Copy()
	all := settings(idle)
	maps.Copy(all, c.RuntimeParams)
	c.RuntimeParams = all
	c.AfterConnect = durable
	return c
}

// durable overrules a server that answers before it has synced.
func durable(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'").ReadAll()
	return err
}

// migratePostgres lets one replica after another bring the schema up to date.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer c.Close(context.WithoutCancel(ctx)) //nolint:errcheck // It is of no more use.
	if _, err := c.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return fmt.Errorf("wait for other replicas to migrate: %w", err)
	}
	db := stdlib.OpenDB(*config)
	return errors.Join(migrate(ctx, db, postgres), db.Close())
}

func (s *Postgres) tx(ctx context.Context, c session) *Tx {
	return &Tx{ctx: ctx, s: c, dialect: postgres, replica: s.replica}
}

// Update runs f in a transaction and returns once it is committed and synced.
// It runs beside no other update, of this replica or another. On an error f
// has had no effect, unless the connection broke at the very end: then nobody
// knows.
func (s *Postgres) Update(ctx context.Context, f func(*Tx) error) error { return s.writer.do(ctx, f) }

// Claim runs f in a transaction beside updates and other claims. What it
// changes it must have locked by a query with Tx.forUpdateSkipLocked.
func (s *Postgres) Claim(ctx context.Context, f func(*Tx) error) error { return s.claimer.do(ctx, f) }

// View runs f on one consistent state of the store, which f cannot change.
func (s *Postgres) View(ctx context.Context, f func(*Tx) error) error {
	var r *pgSession
	select {
	case <-ctx.Done():
		return fmt.Errorf("read from store: %w", ctx.Err())
	case r = <-s.idle:
	}
	if r == nil {
		return ErrClosed
	}
	defer func() { s.idle <- r }()
	if err := r.begin(ctx); err != nil {
		return fmt.Errorf("read from store: %w", err)
	}
	err := f(s.tx(ctx, r))
	return errors.Join(err, r.flush(ctx), r.rollback(context.WithoutCancel(ctx)))
}

// Close finishes the updates that were accepted, waits for the views that run
// and leaves the database. Whatever comes later is answered with ErrClosed.
func (s *Postgres) Close() error {
	s.once.Do(func() {
		s.closed = s.beat.stop()
		s.claimer.stop()
		s.writer.stop()
		for range pgReaders {
			s.closed = errors.Join(s.closed, (<-s.idle).close())
		}
		close(s.idle)
		s.closed = errors.Join(s.closed, s.claimer.session.close(), s.writer.session.close())
	})
	return s.closed
}
