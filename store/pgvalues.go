package store

import (
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"

	"github.com/jackc/pgx/v5/pgtype"
)

// Formats in which PostgreSQL's protocol carries values.
const (
	asText   int16 = 0
	asBinary int16 = 1
)

// oidOf tells PostgreSQL the type of a parameter, as far as its value shows it.
func oidOf(arg any) uint32 {
	switch arg.(type) {
	case int64, int, bool:
		return pgtype.Int8OID
	case string:
		return pgtype.TextOID
	case []byte:
		return pgtype.ByteaOID
	case float64:
		return pgtype.Float8OID
	}
	return 0
}

// plain returns an argument as one of nil, int64, float64, string and []byte,
// as database/sql does; a bool is 0 or 1.
func plain(arg any) (any, error) {
	switch v := arg.(type) {
	case int64, string, nil, []byte, float64:
		return v, nil
	case int:
		return int64(v), nil
	}
	v, err := driver.DefaultParameterConverter.ConvertValue(arg)
	if b, ok := v.(bool); ok {
		if b {
			return int64(1), err
		}
		return int64(0), err
	}
	return v, err
}

// encode returns an argument as a parameter of the type with that OID, and in
// which format. A nil slice is NULL.
func encode(arg any, oid uint32) (b []byte, format int16, err error) {
	v, err := plain(arg)
	if err != nil {
		return nil, asText, err
	}
	switch v := v.(type) {
	case nil:
		return nil, asText, nil
	case int64:
		return encodeInt(v, oid)
	case string:
		return append([]byte{}, v...), asText, nil
	case []byte:
		return append([]byte{}, v...), asBinary, nil
	case float64:
		if oid == pgtype.Float8OID {
			return binary.BigEndian.AppendUint64(nil, math.Float64bits(v)), asBinary, nil
		}
		return strconv.AppendFloat(nil, v, 'g', -1, 64), asText, nil
	}
	return nil, asText, fmt.Errorf("a %T is no value that a database takes", arg)
}

func encodeInt(v int64, oid uint32) (b []byte, format int16, err error) {
	if oid == pgtype.Int8OID {
		return binary.BigEndian.AppendUint64(nil, uint64(v)), asBinary, nil //nolint:gosec // All 64 bits are kept.
	}
	return strconv.AppendInt(nil, v, 10), asText, nil
}

// column is a parameter that holds one column of many rows: an array.
type column struct {
	oid    uint32 // of its elements
	values []any
}

// array returns the name of the column's type.
func (c *column) array() string {
	switch c.oid {
	case pgtype.Int8OID:
		return "bigint[]"
	case pgtype.Float8OID:
		return "float8[]"
	case pgtype.ByteaOID:
		return "bytea[]"
	}
	return "text[]"
}

// encode writes the array in PostgreSQL's binary format: dimensions, whether
// there are NULLs, type of the elements, length, first index, elements.
func (c *column) encode() ([]byte, error) {
	b := make([]byte, 0, 20+12*len(c.values))
	for _, word := range []uint32{1, 1, c.oid, uint32(len(c.values)), 1} { //nolint:gosec // A transaction is smaller than 2³² rows.
		b = binary.BigEndian.AppendUint32(b, word)
	}
	for _, v := range c.values {
		element, format, err := encode(v, c.oid)
		if err != nil {
			return nil, err
		}
		if format == asText && c.oid != pgtype.TextOID && element != nil {
			return nil, fmt.Errorf("a %T in a column of %s", v, c.array())
		}
		length := uint32(math.MaxUint32) // NULL
		if element != nil {
			length = uint32(len(element)) //nolint:gosec // Nor is any value that long.
		}
		b = append(binary.BigEndian.AppendUint32(b, length), element...)
	}
	return b, nil
}

// columnsOf turns rows into columns. The first value that is not NULL tells
// the type.
func columnsOf(names int, rows [][]any) []any {
	columns := make([]any, names)
	for i := range columns {
		c := &column{oid: pgtype.TextOID, values: make([]any, len(rows))}
		typed := false
		for j, row := range rows {
			c.values[j] = row[i]
			if v, err := plain(row[i]); !typed && err == nil && v != nil {
				c.oid, typed = oidOf(v), true
			}
		}
		columns[i] = c
	}
	return columns
}

// formatOf returns the format in which values of a type are read.
func formatOf(oid uint32) int16 {
	switch oid {
	case pgtype.Int8OID, pgtype.Int4OID, pgtype.BoolOID, pgtype.Float8OID, pgtype.TextOID, pgtype.ByteaOID:
		return asBinary
	}
	return asText
}

// decode reads a value that came in the format of formatOf.
func decode(b []byte, oid uint32) (any, error) {
	if b == nil {
		return nil, nil //nolint:nilnil // nil is NULL.
	}
	switch {
	case oid == pgtype.Int8OID && len(b) == 8:
		return int64(binary.BigEndian.Uint64(b)), nil //nolint:gosec // All 64 bits are kept.
	case oid == pgtype.Int4OID && len(b) == 4:
		return int64(int32(binary.BigEndian.Uint32(b))), nil //nolint:gosec // All 32 bits are kept.
	case oid == pgtype.BoolOID && len(b) == 1:
		return int64(b[0]), nil
	case oid == pgtype.Float8OID && len(b) == 8:
		return math.Float64frombits(binary.BigEndian.Uint64(b)), nil
	case oid == pgtype.ByteaOID:
		return append([]byte{}, b...), nil
	case oid == pgtype.NumericOID: // such as the sum of a column
		if n, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			return n, nil
		}
		return strconv.ParseFloat(string(b), 64)
	}
	return string(b), nil
}

// assign stores a decoded value where a row is scanned to.
func assign(dest, v any) error {
	switch d := dest.(type) {
	case sql.Scanner:
		return d.Scan(v)
	case *any:
		*d = v
		return nil
	case *string:
		if s, ok := v.(string); ok {
			*d = s
			return nil
		}
	case *int64:
		if n, ok := v.(int64); ok {
			*d = n
			return nil
		}
	}
	to := reflect.ValueOf(dest)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return errors.New("scan to what is no pointer")
	}
	return set(to.Elem(), v)
}

// set stores a value in a variable of any type that can hold it.
func set(to reflect.Value, v any) error {
	switch v := v.(type) {
	case string:
		if to.Kind() == reflect.String {
			to.SetString(v)
			return nil
		}
	case []byte:
		if to.Kind() == reflect.Slice && to.Type().Elem().Kind() == reflect.Uint8 {
			to.SetBytes(v)
			return nil
		}
	case float64:
		if to.CanFloat() {
			to.SetFloat(v)
			return nil
		}
	case int64:
		return setInt(to, v)
	}
	return fmt.Errorf("scan a %T into a %s", v, to.Type())
}

func setInt(to reflect.Value, v int64) error {
	switch {
	case to.CanInt() && !to.OverflowInt(v):
		to.SetInt(v)
	case to.CanUint() && v >= 0 && !to.OverflowUint(uint64(v)):
		to.SetUint(uint64(v))
	case to.CanFloat():
		to.SetFloat(float64(v))
	case to.Kind() == reflect.Bool && (v == 0 || v == 1):
		to.SetBool(v == 1)
	default:
		return fmt.Errorf("scan %d into a %s", v, to.Type())
	}
	return nil
}
