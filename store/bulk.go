package store

import (
	"fmt"
	"slices"
	"strings"
)

// execMany runs the statement once for each row of arguments.
func (t *Tx) execMany(query string, rows [][]any) error {
	for _, args := range rows {
		if err := t.exec(query, args...); err != nil {
			return err
		}
	}
	return nil
}

// insertMany adds rows to a table, whose columns are named as in an INSERT. It
// takes much less time than as many statements. then is what follows the
// values, such as ON CONFLICT (key) DO NOTHING, or nothing.
func (t *Tx) insertMany(table, columns, then string, rows [][]any) error {
	_, err := t.insert(table, columns, then, rows)
	return err
}

// insertManyIDs is insertMany for a table with an id, and returns those of the
// rows, in their order.
func (t *Tx) insertManyIDs(table, columns string, rows [][]any) ([]int64, error) {
	ids, err := t.insert(table, columns, "RETURNING id", rows)
	if err != nil {
		return nil, err
	}
	if len(ids) != len(rows) {
		return nil, fmt.Errorf("insert into %s: %d rows became %d", table, len(rows), len(ids))
	}
	slices.Sort(ids) // they are given out in the order of the rows, and returned in any
	return ids, nil
}

func (t *Tx) insert(table, columns, then string, rows [][]any) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	names := strings.Split(columns, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	for _, row := range rows {
		if len(row) != len(names) {
			return nil, fmt.Errorf("insert into %s: %d values for %d columns", table, len(row), len(names))
		}
		clean(row)
	}
	return t.s.insert(t.ctx, table, names, " "+then, rows)
}

// insertion is an INSERT of n rows.
func insertion(table string, columns []string, n int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", len(columns)), ", ") + ")"
	return "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " +
		strings.TrimSuffix(strings.Repeat(row+", ", n), ", ")
}

// scanIDs reads the first column of all rows.
func scanIDs(r rows, query string) ([]int64, error) {
	defer r.Close()
	var ids []int64
	for r.Next() {
		var id int64
		if err := r.Scan(&id); err != nil {
			return nil, fmt.Errorf("%s: read row: %w", verb(query), err)
		}
		ids = append(ids, id)
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", verb(query), err)
	}
	return ids, nil
}
