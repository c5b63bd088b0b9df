package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// session is one connection with the statements that were prepared on it. One
// goroutine uses it at a time.
type session struct {
	conn       *sql.Conn
	beginning  string
	statements map[string]*sql.Stmt
}

func newSession(ctx context.Context, db *sql.DB, beginning string) (*session, error) {
	c, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	return &session{conn: c, beginning: beginning, statements: map[string]*sql.Stmt{}}, nil
}

func (s *session) begin(ctx context.Context) error    { return s.exec(ctx, s.beginning) }
func (s *session) commit(ctx context.Context) error   { return s.exec(ctx, "COMMIT") }
func (s *session) rollback(ctx context.Context) error { return s.exec(ctx, "ROLLBACK") }

func (s *session) exec(ctx context.Context, query string, args ...any) error {
	st, err := s.prepare(ctx, query)
	if err != nil {
		return err
	}
	if _, err = st.ExecContext(ctx, args...); err != nil {
		return fmt.Errorf("%s: %w", verb(query), err)
	}
	return nil
}

func (s *session) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
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

// verb returns the beginning of a query, which is enough to know it by.
func verb(query string) string { return query[:min(len(query), 40)] }

func (s *session) close() error {
	var errs []error
	for _, st := range s.statements {
		errs = append(errs, st.Close())
	}
	return errors.Join(append(errs, s.conn.Close())...)
}
