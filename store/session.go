package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// session is one connection to a database. One goroutine uses it at a time.
type session interface {
	begin(ctx context.Context) error
	commit(ctx context.Context) error
	rollback(ctx context.Context) error
	// savepoint begins a part of the transaction, which release keeps and undo
	// takes back.
	savepoint(ctx context.Context) error
	release(ctx context.Context) error
	undo(ctx context.Context) error
	// exec runs a statement. It may do so, and fail, as late as the next call
	// of query, flush or commit.
	exec(ctx context.Context, query string, args []any) error
	query(ctx context.Context, query string, args []any) (rows, error)
	flush(ctx context.Context) error
	// insert adds rows to the columns of a table, and returns what the clause
	// then, such as RETURNING, gives of each.
	insert(ctx context.Context, table string, columns []string, then string, values [][]any) ([]int64, error)
	close() error
}

// rows are the answer to a query.
type rows interface {
	scanner
	Columns() ([]string, error)
	Next() bool
	Err() error
	Close() error
}

// liteSession is a connection to SQLite with the statements that were
// prepared on it.
type liteSession struct {
	conn       *sql.Conn
	beginning  string
	statements map[string]*sql.Stmt
}

var _ session = (*liteSession)(nil)

func newLiteSession(ctx context.Context, db *sql.DB, beginning string) (*liteSession, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &liteSession{conn: c, beginning: beginning, statements: map[string]*sql.Stmt{}}, nil
}

func (s *liteSession) commit(ctx context.Context) error    { return s.exec(ctx, "COMMIT", nil) }
func (s *liteSession) rollback(ctx context.Context) error  { return s.exec(ctx, "ROLLBACK", nil) }
func (s *liteSession) savepoint(ctx context.Context) error { return s.exec(ctx, "SAVEPOINT op", nil) }
func (s *liteSession) release(ctx context.Context) error   { return s.exec(ctx, "RELEASE op", nil) }
func (s *liteSession) flush(context.Context) error         { return nil }

// maxPrepared is how many statements a session keeps prepared, about.
const maxPrepared = 400

func (s *liteSession) begin(ctx context.Context) error {
	if len(s.statements) > maxPrepared {
		for _, st := range s.statements {
			_ = st.Close() // nothing runs that needs it
		}
		clear(s.statements)
	}
	return s.exec(ctx, s.beginning, nil)
}

func (s *liteSession) undo(ctx context.Context) error {
	if err := s.exec(ctx, "ROLLBACK TO op", nil); err != nil {
		return err
	}
	return s.release(ctx)
}

func (s *liteSession) exec(ctx context.Context, query string, args []any) error {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	if _, err = st.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("%s: %w", verb(query), err)
	}
	return nil
}

func (s *liteSession) query(ctx context.Context, query string, args []any) (rows, error) {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	r, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", verb(query), err)
	}
	return r, nil
}

func (s *liteSession) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if st, ok := s.statements[query]; ok {
		return st, nil
	}
	st, err := s.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", verb(query), err)
	}
	s.statements[query] = st
	return st, nil
}

// insert adds as many rows at a time as pays off.
func (s *liteSession) insert(ctx context.Context, table string, columns []string, then string, values [][]any) ([]int64, error) {
	var ids []int64
	for len(values) > 0 {
		n := 1
		for n < 32 && 2*n <= len(values) {
			n *= 2
		}
		part, err := s.insertPart(ctx, insertion(table, columns, n)+then, values[:n])
		if err != nil {
			return nil, err
		}
		ids, values = append(ids, part...), values[n:]
	}
	return ids, nil
}

func (s *liteSession) insertPart(ctx context.Context, query string, values [][]any) ([]int64, error) {
	args := make([]any, 0, len(values)*len(values[0]))
	for _, row := range values {
		args = append(args, row...)
	}
	r, err := s.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return scanIDs(r, query)
}

// verb returns the beginning of a query, which is enough to know it by.
func verb(query string) string { return query[:min(len(query), 40)] }

func (s *liteSession) close() error {
	var errs []error
	for _, st := range s.statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}
