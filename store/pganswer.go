package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// answer is what the server says to a query, row by row.
type answer struct {
	session *pgSession
	cancel  context.CancelFunc
	query   string
	fields  []pgconn.FieldDescription
	results *pgconn.MultiResultReader
	rows    *pgconn.ResultReader
	tag     string
	closed  bool
	err     error
}

// Columns returns the names of the columns.
func (a *answer) Columns() ([]string, error) {
	names := make([]string, len(a.fields))
	for i, f := range a.fields {
		names[i] = f.Name
	}
	return names, nil
}

// Next goes on to the next row, and tells whether there is one.
func (a *answer) Next() bool {
	if a.closed {
		return false
	}
	if a.rows.NextRow() {
		return true
	}
	tag, err := a.rows.Close()
	a.tag, a.err = tag.String(), err
	a.Close()
	return false
}

// Scan reads the row.
func (a *answer) Scan(dest ...any) error {
	values := a.rows.Values()
	if len(dest) != len(values) {
		return fmt.Errorf("scan %d columns into %d", len(values), len(dest))
	}
	for i, d := range dest {
		if s, ok := d.(*string); ok && a.fields[i].DataTypeOID == pgtype.TextOID && values[i] != nil {
			*s = string(values[i])
			continue
		}
		v, err := decode(values[i], a.fields[i].DataTypeOID)
		if err == nil {
			err = assign(d, v)
		}
		if err != nil {
			return fmt.Errorf("column %s: %w", a.fields[i].Name, err)
		}
	}
	return nil
}

// Err returns what went wrong, once Next has returned false.
func (a *answer) Err() error { return a.err }

// Close reads the rest of the answer.
func (a *answer) Close() error {
	if a.closed {
		return a.err
	}
	a.closed = true
	defer a.cancel()
	if err := a.results.Close(); err != nil {
		a.err = err
	}
	if a.err != nil {
		a.err = a.session.fail(fmt.Errorf("%s: %w", verb(a.query), a.err))
	}
	return a.err
}
