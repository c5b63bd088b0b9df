package store

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// A backup is gzipped JSON, one value a line: a header, then for each table
// its name and columns and after that its rows, each an array; at last a
// trailer with a checksum of all lines before it. It is the same whichever
// database it comes from.

// ErrBackup is what is no whole backup: another file, or one that was cut off
// or changed.
var ErrBackup = errors.New("it is not a whole backup of midwatch")

const (
	archiveFormat  = "midwatch backup"
	archiveVersion = 1
	maxArchiveLine = 64 << 20
)

type archiveHeader struct {
	Format    string    `json:"format"`
	Version   int       `json:"version"`
	Schema    int64     `json:"schema"` // that the rows are of
	CreatedAt time.Time `json:"created_at"`
}

type archiveTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type archiveTrailer struct {
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of all lines before, with their ends, not compressed
}

// archiveWriter writes a backup.
type archiveWriter struct {
	zip  *gzip.Writer
	sum  hash.Hash
	rows int64
}

func newArchive(w io.Writer, schema int64) (*archiveWriter, error) {
	a := &archiveWriter{zip: gzip.NewWriter(w), sum: sha256.New()}
	return a, a.line(archiveHeader{archiveFormat, archiveVersion, schema, time.Now().UTC().Truncate(time.Second)})
}

func (a *archiveWriter) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	a.sum.Write(b)
	_, err = a.zip.Write(b)
	return err
}

func (a *archiveWriter) table(name string, columns []string) error {
	return a.line(archiveTable{name, columns})
}

// row writes texts, whole numbers and nil.
func (a *archiveWriter) row(values []any) error {
	a.rows++
	return a.line(values)
}

func (a *archiveWriter) finish() error {
	if err := a.line(archiveTrailer{a.rows, hex.EncodeToString(a.sum.Sum(nil))}); err != nil {
		return err
	}
	return a.zip.Close()
}

// archiveVisitor is told what a backup holds, in its order.
type archiveVisitor struct {
	header func(archiveHeader) error
	table  func(archiveTable) error
	row    func(values []any) error // nil, string, int64 or float64, as many as the table has columns
}

// readArchive reads a backup to its end. Whatever it has shown is to be
// trusted only when it returns no error; the error is ErrBackup (wrapped) for
// what is none.
func readArchive(r io.Reader, v archiveVisitor) error {
	zip, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	lines := bufio.NewScanner(zip)
	lines.Buffer(nil, maxArchiveLine)
	a := archiveReader{visit: v, sum: sha256.New()}
	for n := 1; lines.Scan(); n++ {
		if err := a.line(lines.Bytes()); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
	}
	switch err := lines.Err(); {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBackup, err)
	case !a.ended:
		return fmt.Errorf("%w: its end is missing", ErrBackup)
	}
	return nil
}

type archiveReader struct {
	visit  archiveVisitor
	sum    hash.Hash
	begun  bool
	ended  bool
	fields int // of a row; 0 before the first table
	rows   int64
}

func (a *archiveReader) line(b []byte) error {
	if a.ended {
		return fmt.Errorf("%w: there is something after its end", ErrBackup)
	}
	if a.begun && bytes.HasPrefix(b, []byte(`{"rows":`)) {
		return a.trailer(b)
	}
	a.sum.Write(b)
	a.sum.Write([]byte{'\n'})
	switch {
	case !a.begun:
		return a.header(b)
	case bytes.HasPrefix(b, []byte("[")):
		return a.row(b)
	}
	var t archiveTable
	if err := strictly(b, &t); err != nil {
		return err
	}
	if len(t.Columns) == 0 {
		return fmt.Errorf("%w: table %q has no columns", ErrBackup, t.Table)
	}
	a.fields = len(t.Columns)
	return a.visit.table(t)
}

func (a *archiveReader) trailer(b []byte) error {
	var end archiveTrailer
	if err := strictly(b, &end); err != nil {
		return err
	}
	if end.Rows != a.rows || end.SHA256 != hex.EncodeToString(a.sum.Sum(nil)) {
		return fmt.Errorf("%w: the checksum is of something else", ErrBackup)
	}
	a.ended = true
	return nil
}

func (a *archiveReader) header(b []byte) error {
	var h archiveHeader
	if err := strictly(b, &h); err != nil {
		return err
	}
	if h.Format != archiveFormat {
		return fmt.Errorf("%w: it is a %q", ErrBackup, h.Format)
	}
	if h.Version != archiveVersion {
		return fmt.Errorf("a backup of version %d, this midwatch knows version %d", h.Version, archiveVersion)
	}
	a.begun = true
	return a.visit.header(h)
}

func (a *archiveReader) row(b []byte) error {
	var values []any
	if err := strictly(b, &values); err != nil {
		return err
	}
	if a.fields == 0 || len(values) != a.fields {
		return fmt.Errorf("%w: a row of %d values in a table of %d columns", ErrBackup, len(values), a.fields)
	}
	for i, v := range values {
		switch v := v.(type) {
		case nil, string:
		case json.Number:
			n, err := number(v)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrBackup, err)
			}
			values[i] = n
		default:
			return fmt.Errorf("%w: a %T in a row", ErrBackup, v)
		}
	}
	a.rows++
	return a.visit.row(values)
}

func number(n json.Number) (any, error) {
	if i, err := n.Int64(); err == nil {
		return i, nil
	}
	return n.Float64()
}

// strictly decodes one JSON value, and nothing after it.
func strictly(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: more than one value in a line", ErrBackup)
	}
	return nil
}
