// Package plan cuts a PromQL expression over several clusters into parts that
// each cluster evaluates by itself and a rest that is evaluated over their
// answers.
//
// The rest over the answers gives what the expression gives on one Prometheus
// that holds every cluster's series under the cluster's external labels, as
// long as the answers keep to what Query says of them. Where that cannot be
// told from the expression or seen in the answers, nothing is pushed.
//
// The package is pure: it asks no cluster, evaluates nothing and keeps
// nothing.
package plan

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Pushes says what a cluster may be sent.
type Pushes int

// What a cluster may be sent.
const (
	// PushNothing is a cluster of which only raw samples are read.
	PushNothing Pushes = iota
	// PushSelectors is a cluster whose instant vectors mean what they mean
	// here, but not its ranges nor what it does with their values.
	PushSelectors
	// PushAll is a cluster whose PromQL is the one of this engine.
	PushAll
)

// Cluster is what planning must know of one.
type Cluster struct {
	Name    string
	Labels  map[string]string // external labels: known, and the same on every series
	Dropped []string          // replica labels: known to be absent
	// Absent are labels known elsewhere that no series of the cluster had when it
	// was asked. They tell clusters apart where a series that has one all the same
	// shows in the answer; where it may not, two clusters are told apart by them
	// only if both lack a label of the other.
	Absent []string
	// Unclean tells that some series of the cluster have one of these labels
	// themselves. Two of them may then be one series under the external labels,
	// and only what shows this in its answer is pushed. Where it is not told,
	// such series are noticed, but not two that become one below an operation
	// that leaves series out.
	Unclean bool
	Pushes  Pushes
}

// Window says when an expression is evaluated: at Start and every Step after
// it until End, in milliseconds. An instant has Step 0 and Start == End.
type Window struct{ Start, End, Step int64 }

// Options are what the clusters' engines and the one here must agree on.
type Options struct {
	Lookback     time.Duration // how old a sample an instant vector may have
	SubqueryStep time.Duration // of a subquery that names none
}

// Plan is an expression whose parts are evaluated in the clusters.
type Plan struct {
	// Expr is what is evaluated here. Parts are VectorSelectors in it; other
	// selectors in it read raw samples.
	Expr  parser.Expr
	Parts []Part
}

// Part is a subexpression that every cluster evaluates by itself.
type Part struct {
	// Selector stands for the part in Plan.Expr. Its first matcher is no other
	// selector's: a Select is for this part when it is given that pointer.
	Selector *parser.VectorSelector
	// Window is when the part is evaluated: at exactly these times, which in a
	// subquery are the subquery's own steps.
	Window Window
	// Queries has one query for each cluster that can have series of the part.
	Queries []Query
	// Quantile, where it is not nil, is between 0 and 1: the part stands for
	// this quantile, by the labels that its queries keep, over the series of
	// all of its queries.
	Quantile *float64
}

// Query is what one cluster is asked for a part. The series of all queries of
// a part, under their Labels, are the series of its selector; those of two
// clusters may have the same labels where they are parts of one aggregation,
// and then stay two.
type Query struct {
	Cluster int // its index among the clusters planned for
	// Text is what to send. It has no matchers on labels that are known, offsets
	// and @ are in place, start(), end() and default subquery steps resolved.
	Text string
	// Labels are the external labels that each series of the answer gets.
	Labels map[string]string
	// Foreign are labels that no series of the answer may have: if one does,
	// the plan does not hold.
	Foreign []string
	// Projected tells that of the labels of the answer's series, Labels
	// included, none but Keep are looked at: the others may be left out, and
	// series that are then alike stay as many. Keep shares no memory with the
	// plan's expression, which Prometheus' engine changes as it evaluates it.
	Projected bool
	Keep      []string
	// Sums tells that values are partial sums: a warning, an infinite value or
	// one beyond 1e300 means that the plan does not hold.
	Sums bool
	// Mint and Maxt are the times of the oldest and the newest sample that the
	// query can read, in milliseconds.
	Mint, Maxt int64

	sent parser.Expr // what Text says, its nodes at the user's positions
}

// maxNodes bounds the expressions that are planned.
const maxNodes = 10_000

var errTooLarge = errors.New("plan: the expression is too large")

// New plans an expression, which it does not change, over a window. Its
// errors are those of Prometheus' own preprocessing, an expression of more
// than 10,000 nodes, and a window without steps.
func New(expr parser.Expr, clusters []Cluster, w Window, o Options) (*Plan, error) {
	if w.Step < 0 || w.End < w.Start || (w.Step == 0 && w.End != w.Start) {
		return nil, fmt.Errorf("plan: no window: from %d to %d by %d", w.Start, w.End, w.Step)
	}
	own, err := clone(expr)
	if err != nil {
		return nil, err
	}
	own, err = promql.PreprocessExpr(own, timestamp.Time(w.Start), timestamp.Time(w.End), millis(w.Step))
	if err != nil {
		return nil, err
	}
	b := &builder{fleet: newFleet(clusters), options: o, shapes: map[parser.Expr]shape{}}
	if b.plannable() {
		b.classify(own)
		own = b.rewrite(own, moment{Window: w})
	}
	return &Plan{Expr: bare(own), Parts: b.parts}, nil
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
