package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Tx is the store within one transaction. It lives no longer than the
// function that it was passed to.
type Tx struct {
	ctx     context.Context
	s       session
	dialect dialect
	replica string // whose process this is, where several share a database; else ""

	inhibited *bool // whether there is any inhibitor; nil: nobody has looked

	alone bool             // no other transaction adds rows
	next  map[string]int64 // by table: the id of the next row, where this transaction gives them out
}

// exec runs a statement. Its error may come as late as that of a later
// statement of the transaction, which then has no effect at all.
func (t *Tx) exec(query string, args ...any) error {
	clean(args)
	return t.s.exec(t.ctx, query, args)
}

// scanner is a row, or one of several.
type scanner interface{ Scan(dest ...any) error }

// collect returns what scan reads from each row of the query's answer.
func collect[T any](t *Tx, scan func(scanner, *T) error, query string, args ...any) ([]T, error) {
	clean(args)
	rows, err := t.s.query(t.ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := scan(rows, &one); err != nil {
			return nil, fmt.Errorf("%s: read row: %w", verb(query), err)
		}
		all = append(all, one)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", verb(query), err)
	}
	return all, nil
}

// first returns the first row of the answer, and whether there is one.
func first[T any](t *Tx, scan func(scanner, *T) error, query string, args ...any) (one T, ok bool, err error) {
	all, err := collect(t, scan, query, args...)
	if err != nil || len(all) == 0 {
		return one, false, err
	}
	return all[0], true, nil
}

// chunk is how many values go into one IN (…) at most.
const chunk = 256

// among runs query, which has one %s for the values of an IN, over all
// values, as many at a time as one statement takes. args go before them.
func among[K, T any](values []K, query string, run func(query string, values []any) ([]T, error)) ([]T, error) {
	var all []T
	for len(values) > 0 {
		part := values[:min(chunk, len(values))]
		values = values[len(part):]
		args := make([]any, width(len(part))) // short parts repeat their last value: few statements serve all
		for i := range args {
			args[i] = part[min(i, len(part)-1)]
		}
		some, err := run(fmt.Sprintf(query, strings.TrimSuffix(strings.Repeat("?, ", len(args)), ", ")), args)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// width returns how many places a statement has for n values.
func width(n int) int {
	w := 1
	for w < n {
		w *= 4
	}
	return w
}

// clean makes texts what both databases keep: valid UTF-8 without NUL.
func clean(args []any) {
	for i, a := range args {
		if s, ok := a.(string); ok && (strings.IndexByte(s, 0) >= 0 || !utf8.ValidString(s)) {
			args[i] = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
		}
	}
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// instant scans milliseconds into a time.
type instant struct{ to *time.Time }

// Scan reads milliseconds; NULL is no time.
func (i instant) Scan(v any) error {
	ms, ok := v.(int64)
	if !ok && v != nil {
		return fmt.Errorf("time is a %T", v)
	}
	*i.to = fromMillis(ms)
	return nil
}

// document scans JSON into a value; NULL leaves it as it is.
type document struct{ to any }

// Scan decodes JSON; NULL leaves the value as it is.
func (d document) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return json.Unmarshal([]byte(v), d.to)
	case []byte:
		return json.Unmarshal(v, d.to)
	}
	return fmt.Errorf("document is a %T", v)
}

func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

func scanString(r scanner, s *string) error { return r.Scan(s) }

func scanID(r scanner, id *int64) error { return r.Scan(id) }

func scanTime(r scanner, t *time.Time) error { return r.Scan(instant{t}) }

var (
	_ sql.Scanner = instant{}
	_ sql.Scanner = document{}
)
