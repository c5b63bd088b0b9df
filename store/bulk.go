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
	if t.alone {
		return t.insertNumbered(table, columns, rows)
	}
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

// insertID adds a row to a table with an id, and returns that.
func (t *Tx) insertID(table, columns string, row []any) (int64, error) {
	ids, err := t.insertManyIDs(table, columns, [][]any{row})
	if err != nil {
		return 0, err
	}
	return ids[0], nil
}

// insertNumbered gives the rows their ids, which nobody else gives out
// meanwhile. So no answer need be waited for but the first: which id is next.
func (t *Tx) insertNumbered(table, columns string, rows [][]any) ([]int64, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	next, ok := t.next[table]
	if !ok {
		var err error
		next, _, err = first(t, scanID, "SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM "+table+"_id_seq")
		if err != nil {
			return nil, err
		}
	}
	ids, numbered := make([]int64, len(rows)), make([][]any, len(rows))
	for i, row := range rows {
		ids[i] = next + int64(i)
		numbered[i] = append([]any{ids[i]}, row...)
	}
	last := ids[len(ids)-1]
	if t.next == nil {
		t.next = map[string]int64{}
	}
	t.next[table] = last + 1
	if _, err := t.insert(table, "id, "+columns, "", numbered); err != nil {
		return nil, err
	}
	return ids, t.exec("SELECT setval('"+table+"_id_seq', ?)", last)
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
