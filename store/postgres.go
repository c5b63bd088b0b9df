package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
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
	config, err := parseURL(url)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s := &Postgres{replica: replicaName(), config: &config.Config, idle: make(chan *pgSession, pgReaders)}
	if err := s.open(ctx, config); err != nil {
		return nil, fmt.Errorf("open database %s at %s: %w", config.Database, config.Host, err)
	}
	return s, nil
}

// parseURL reads a URL. Errors of pgx show what they cannot read, save the
// password when they know which part that is.
func parseURL(url string) (*pgx.ConnConfig, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, errors.New("its URL does not begin with postgres://")
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("its URL is not of the form postgres://user:password@host:port/database?sslmode=verify-full," +
			" or names a file that cannot be read")
	}
	if config.ConnectTimeout == 0 || config.ConnectTimeout > connectTimeout {
		config.ConnectTimeout = connectTimeout
	}
	return config, nil
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
		s.idle <- s.session(ctx, idleReader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	}
	s.claimer = startWriter(ctx, s.session(ctx, idleWriter, "BEGIN"), s.tx)
	s.writer = startWriter(ctx, s.session(ctx, idleWriter, locked()...), s.aloneTx)
	var err error
	if s.beat, err = startHeart(ctx, s); err != nil {
		s.claimer.stop()
		s.writer.stop()
	}
	return err
}

// session returns one that connects when it is needed.
func (s *Postgres) session(ctx context.Context, idle time.Duration, beginning ...string) *pgSession {
	return &pgSession{ctx: context.WithoutCancel(ctx), config: s.with(idle), beginning: beginning}
}

// locked begins a transaction beside which no other update runs.
func locked() []string {
	return []string{"BEGIN", "SELECT pg_advisory_xact_lock(" + strconv.Itoa(updateLock) + ")"}
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

// migratePostgres brings the schema up to date.
func migratePostgres(ctx context.Context, config *pgx.ConnConfig) error {
	turn, err := turnToMigrate(ctx, config)
	if err != nil {
		return err
	}
	defer turn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // It is of no more use.
	db := stdlib.OpenDB(*config)
	return errors.Join(migrate(ctx, db, postgres), db.Close())
}

// turnToMigrate waits until no other replica is at the schema. It is this
// one's turn while the connection lasts.
func turnToMigrate(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	if _, err := c.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return nil, errors.Join(fmt.Errorf("wait for other replicas to migrate: %w", err), c.Close(context.WithoutCancel(ctx)))
	}
	return c, nil
}

func (s *Postgres) tx(ctx context.Context, c session) *Tx {
	return &Tx{ctx: ctx, s: c, dialect: postgres, replica: s.replica}
}

func (s *Postgres) aloneTx(ctx context.Context, c session) *Tx {
	t := s.tx(ctx, c)
	t.alone = true
	return t
}

// Update runs f in a transaction and returns once it is committed and synced.
// It runs beside no other update, of this replica or another. On an error f
// has had no effect, unless the connection broke at the very end: then nobody
// knows.
func (s *Postgres) Update(ctx context.Context, f func(*Tx) error) error { return s.writer.do(ctx, f) }

// UpdateLater is Update for what can wait a moment: of the updates that wait
// here, those that cannot go first.
func (s *Postgres) UpdateLater(ctx context.Context, f func(*Tx) error) error {
	return s.writer.doLater(ctx, f)
}

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
