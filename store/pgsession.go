package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	roundTrip = 20 * time.Second // after which an answer is given up; statement_timeout is shorter
	maxUnsent = 256              // statements that wait for a query to go with
)

// pgSession is a connection to PostgreSQL. Statements whose answers nobody
// waits for go to the server together with the next query, or at the end: on a
// network, what costs is the number of round trips. A connection that breaks
// is replaced at the next transaction.
type pgSession struct {
	ctx       context.Context // of the whole session
	config    *pgconn.Config
	beginning []string // of a transaction

	conn       *pgconn.PgConn
	statements map[string]*pgconn.StatementDescription
	unsent     []pending
	mark       int  // in unsent: the savepoint
	marked     bool // the savepoint is in unsent
	broken     bool // by an error after which the connection must not be used
}

var errLost = errors.New("the connection to postgresql is lost")

// patient returns a context for one round trip. A caller who leaves must not
// cost the connection: to give up an answer is to close it.
func patient(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), roundTrip)
}

type pending struct {
	query  string
	st     *pgconn.StatementDescription
	params [][]byte
	format []int16
}

var _ session = (*pgSession)(nil)

// begin begins a transaction, on a new connection when there is none, or the
// old one proves to be dead: nothing is lost by that yet.
func (s *pgSession) begin(ctx context.Context) error {
	reused, err := s.connect()
	if err != nil {
		return err
	}
	if err = s.start(ctx); err != nil && reused && s.lost() {
		if _, err = s.connect(); err == nil {
			err = s.start(ctx)
		}
	}
	if err != nil { // it may have begun, and waited in vain for its turn
		return errors.Join(err, s.rollback(ctx))
	}
	return nil
}

// forget drops what was prepared when it is a lot: some queries have many
// forms, and each costs the server memory.
func (s *pgSession) forget(ctx context.Context) error {
	if len(s.statements) < maxPrepared {
		return nil
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	if _, err := s.conn.Exec(ctx, "DEALLOCATE ALL").ReadAll(); err != nil {
		return s.fail(fmt.Errorf("forget statements: %w", err))
	}
	clear(s.statements)
	return nil
}

func (s *pgSession) start(ctx context.Context) error {
	if err := s.forget(ctx); err != nil {
		return err
	}
	for _, query := range s.beginning {
		if err := s.exec(ctx, query, nil); err != nil {
			return err
		}
	}
	return s.flush(ctx)
}

// lost tells whether the connection cannot be used any more.
func (s *pgSession) lost() bool { return s.conn == nil || s.broken || s.conn.IsClosed() }

// connect makes a connection when there is none that works; reused tells that
// there was.
func (s *pgSession) connect() (reused bool, err error) {
	s.unsent, s.marked = nil, false
	if !s.lost() {
		return true, nil
	}
	s.drop()
	if s.conn, err = pgconn.ConnectConfig(s.ctx, s.config); err != nil {
		return false, fmt.Errorf("connect to postgresql: %w", err)
	}
	s.statements, s.broken = map[string]*pgconn.StatementDescription{}, false
	return false, nil
}

// drop closes the connection without regard to what it was at.
func (s *pgSession) drop() {
	if s.conn != nil {
		ctx, cancel := context.WithTimeout(s.ctx, time.Second)
		defer cancel()
		_ = s.conn.Close(ctx) // it is given up anyway
		s.conn = nil
	}
}

func (s *pgSession) close() error {
	s.drop()
	return nil
}

// commit sends what waits together with the COMMIT. When its error comes from
// a connection that broke meanwhile, nobody knows whether it took effect.
func (s *pgSession) commit(ctx context.Context) error {
	if err := s.exec(ctx, "COMMIT", nil); err != nil {
		return err
	}
	tag, err := s.send(ctx)
	if err == nil && tag != "COMMIT" {
		err = fmt.Errorf("commit: the server answered %s", tag)
	}
	return err
}

func (s *pgSession) rollback(ctx context.Context) error {
	s.unsent, s.marked = nil, false
	if s.lost() {
		s.drop()
		return nil
	}
	if err := s.exec(ctx, "ROLLBACK", nil); err != nil {
		return err
	}
	if err := s.flush(ctx); err != nil {
		s.drop()
		return err
	}
	return nil
}

func (s *pgSession) savepoint(ctx context.Context) error {
	mark := len(s.unsent)
	err := s.exec(ctx, "SAVEPOINT op", nil)
	s.mark, s.marked = mark, len(s.unsent) > mark
	return err
}

func (s *pgSession) release(ctx context.Context) error { return s.exec(ctx, "RELEASE op", nil) }

func (s *pgSession) undo(ctx context.Context) error {
	if s.lost() {
		return errLost
	}
	if s.marked { // nothing of it has been sent
		s.unsent, s.marked = s.unsent[:s.mark], false
		return nil
	}
	s.unsent = nil
	if err := s.exec(ctx, "ROLLBACK TO op", nil); err != nil {
		return err
	}
	return s.release(ctx)
}

func (s *pgSession) exec(ctx context.Context, query string, args []any) error {
	if len(s.unsent) >= maxUnsent {
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	return s.add(ctx, query, args)
}

// add makes the query wait for being sent.
func (s *pgSession) add(ctx context.Context, query string, args []any) error {
	st, ok := s.statements[query]
	if !ok {
		var err error
		if st, err = s.prepare(ctx, query, args); err != nil {
			return err
		}
	}
	if len(args) != len(st.ParamOIDs) {
		return fmt.Errorf("%s: %d arguments for %d parameters", verb(query), len(args), len(st.ParamOIDs))
	}
	p := pending{query: query, st: st, params: make([][]byte, len(args)), format: make([]int16, len(args))}
	for i, arg := range args {
		var err error
		if c, ok := arg.(*column); ok {
			p.format[i] = asBinary
			p.params[i], err = c.encode()
		} else {
			p.params[i], p.format[i], err = encode(arg, st.ParamOIDs[i])
		}
		if err != nil {
			return fmt.Errorf("%s: argument %d: %w", verb(query), i+1, err)
		}
	}
	s.unsent = append(s.unsent, p)
	return nil
}

func (s *pgSession) prepare(ctx context.Context, query string, args []any) (*pgconn.StatementDescription, error) {
	if err := s.flush(ctx); err != nil {
		return nil, err
	}
	if s.lost() {
		return nil, errLost
	}
	oids := make([]uint32, len(args))
	for i, arg := range args {
		oids[i] = oidOf(arg)
	}
	ctx, cancel := patient(ctx)
	defer cancel()
	st, err := s.conn.Prepare(ctx, "s"+strconv.Itoa(len(s.statements)), numbered(steered(query)), oids)
	if err != nil {
		return nil, s.fail(fmt.Errorf("prepare %s: %w", verb(query), err))
	}
	s.statements[query] = st
	return st, nil
}

// What is asked of pages by incident or key is found by that.
var (
	byPage = regexp.MustCompile(`\b(incident_id|key) *(= *\?|IN \()`)
	state  = regexp.MustCompile(`\b((?:p\.|q\.)?state) (=|IN \()`)
)

// steered keeps the planner from finding the pages of an incident among all
// that are queued, or sent: it decides while there are none of them, and those
// statements are for when there are thousands. What is computed from a column
// is in no index.
func steered(query string) string {
	head, where, _ := strings.Cut(query, "WHERE")
	if !strings.Contains(head, "pages") || !byPage.MatchString(where) || strings.Contains(where, "bundle = ?") {
		return query
	}
	return head + "WHERE" + state.ReplaceAllString(where, "($1 || '') $2")
}

// numbered writes the parameters of a query, each a question mark, as
// PostgreSQL does: $1, $2.
func numbered(query string) string {
	var b strings.Builder
	n, quote := 0, byte(0)
	for i := range len(query) {
		c := query[i]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '?':
			n++
			b.WriteString("$" + strconv.Itoa(n))
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}

func (s *pgSession) flush(ctx context.Context) error {
	if len(s.unsent) == 0 {
		return nil
	}
	_, err := s.send(ctx)
	return err
}

// send sends all that waits and returns what the server said of the last.
func (s *pgSession) send(ctx context.Context) (tag string, err error) {
	a, err := s.ask(ctx)
	if err != nil {
		return "", err
	}
	defer a.Close()
	for a.Next() {
	}
	return a.tag, a.Err()
}

func (s *pgSession) query(ctx context.Context, query string, args []any) (rows, error) {
	if err := s.add(ctx, query, args); err != nil {
		return nil, err
	}
	a, err := s.ask(ctx)
	if err != nil {
		return nil, err
	}
	return a, nil
}

// insert adds all rows by one statement, which is the same for any number.
func (s *pgSession) insert(ctx context.Context, table string, columns []string, then string, values [][]any) ([]int64, error) {
	if len(values) == 1 {
		return s.insertAll(ctx, insertion(table, columns, 1)+then, then, values[0])
	}
	args := columnsOf(len(columns), values)
	types := make([]string, len(args))
	for i, a := range args {
		c, _ := a.(*column)
		types[i] = "?::" + c.array()
	}
	names := strings.Join(columns, ", ")
	query := "INSERT INTO " + table + " (" + names + ") SELECT " + names + " FROM unnest(" + strings.Join(types, ", ") +
		") WITH ORDINALITY AS rows (" + names + ", row_number) ORDER BY row_number" + then
	return s.insertAll(ctx, query, then, args)
}

// insertAll waits for the answer only when there is one.
func (s *pgSession) insertAll(ctx context.Context, query, then string, args []any) ([]int64, error) {
	if !strings.Contains(then, "RETURNING") {
		return nil, s.exec(ctx, query, args)
	}
	r, err := s.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	return scanIDs(r, query)
}

// fail notes when an error means that the connection is of no more use. The
// server may be shutting down, or be one that only reads, or have forgotten
// what was prepared.
func (s *pgSession) fail(err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		s.broken = true
		return err
	}
	switch {
	case strings.HasPrefix(pg.Code, "08"), strings.HasPrefix(pg.Code, "57P"), pg.Severity == "FATAL",
		pg.Code == "25006", pg.Code == "25P03", pg.Code == "26000", pg.Code == "0A000":
		s.broken = true
	}
	return err
}

// ask sends all that waits, and returns the answer to the last.
func (s *pgSession) ask(ctx context.Context) (*answer, error) {
	all := s.unsent
	s.unsent, s.marked = nil, false
	if s.lost() {
		return nil, errLost
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	batch := &pgconn.Batch{}
	for _, p := range all {
		batch.ExecStatement(p.st, p.params, p.format, resultFormats(p.st))
	}
	ctx, cancel := patient(ctx)
	a := &answer{session: s, cancel: cancel, fields: all[len(all)-1].st.Fields, results: s.conn.ExecBatch(ctx, batch)}
	for i, p := range all {
		a.query = p.query
		if i > 0 { // what the one before it answers is of no interest
			_, a.err = a.rows.Close()
		}
		if a.err != nil || !a.results.NextResult() {
			return nil, a.Close()
		}
		a.rows = a.results.ResultReader()
	}
	return a, nil
}

func resultFormats(st *pgconn.StatementDescription) []int16 {
	formats := make([]int16, len(st.Fields))
	for i, f := range st.Fields {
		formats[i] = formatOf(f.DataTypeOID)
	}
	return formats
}
