// Package replay evaluates rules over a span of time without waiting for it:
// a Prometheus without a clock. It gives what Prometheus' rule manager would
// have recorded and fired, evaluation by evaluation, on Prometheus' own
// engine. It knows nothing of SLOs, and neither sends alerts nor keeps what it
// records longer than the rules read it.
//
// Rules are evaluated by range queries, span after span, each after those that
// it reads. Where rules read their own past, or each other's, a span is
// evaluated again until nothing changes: since a rule reads only what was
// there before it, there is one such result, that of evaluating moment by
// moment.
package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
)

// Source holds the series that the rules read and do not record.
type Source interface {
	// Range evaluates an expression that gives a vector, at from and then
	// every step up to and with to. An error of the expression, as opposed to
	// one of the source, is an EvaluationError.
	Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error)
}

// EvaluationError is an expression that cannot be evaluated over a time, such
// as one that matches many series to many.
type EvaluationError struct{ Err error }

// Error says why.
func (e *EvaluationError) Error() string { return e.Err.Error() }

// Unwrap returns the reason.
func (e *EvaluationError) Unwrap() error { return e.Err }

// Config says what to evaluate, and when.
type Config struct {
	Groups []rulefmt.RuleGroup // in the order in which they are evaluated at one instant
	Source Source
	// From and To are when alerts, and series that Record wants, are evaluated
	// first and last. What these read is evaluated before From as far back as
	// they reach, but not before Since.
	From, To, Since time.Time
	// Phase returns how long after the multiples of its interval a group is
	// evaluated. Nil: at the multiples.
	Phase func(group string) time.Duration
	// Alerts says which alerts are wanted; nil: all.
	Alerts func(rulefmt.Rule) bool
	// Wanted says of which names series are given to Record; nil: none.
	Wanted func(name string) bool
	// Record is given wanted series, piece by piece, also of the time before
	// From; those of one series come in the order of time. It is never called
	// twice at once, and not while Progress is.
	Record func(Series)
	// Progress is told after each span of time; nil: nobody.
	Progress func(Progress)
	// Span is how much time is evaluated at once, one day when it is not
	// given; less when there are many series.
	Span time.Duration
	// Workers is how many rules are evaluated at once, as many as there are
	// processors when it is not given.
	Workers int
}

// Series is a part of a series.
type Series struct {
	Labels labels.Labels // with the name
	Points []promql.FPoint
}

// Progress says how far a replay is.
type Progress struct {
	At          time.Time // all before it is evaluated
	Done, Total int64     // evaluations of rules
}

// Firing is a time in which an alert fired.
type Firing struct {
	Labels labels.Labels // with alertname
	Active time.Time     // when it began to be pending
	From   time.Time     // when it fired
	To     time.Time     // when it was resolved; zero when it fires still
	Value  float64       // when it fired
}

// Failure is a rule that could not be evaluated at some moments.
type Failure struct {
	Group, Rule string
	Times       int
	First       time.Time
	Err         error
}

// Result is what came of a replay.
type Result struct {
	Begin    time.Time // of the first evaluation
	Firings  []Firing  // in the order of their beginnings
	Failures []Failure
}

func (c *Config) defaults() error {
	c.Span = cmp.Or(c.Span, 24*time.Hour)
	c.Workers = cmp.Or(c.Workers, runtime.GOMAXPROCS(0))
	if c.Phase == nil {
		c.Phase = func(string) time.Duration { return 0 }
	}
	if c.Alerts == nil {
		c.Alerts = func(rulefmt.Rule) bool { return true }
	}
	if c.Wanted == nil {
		c.Wanted = func(string) bool { return false }
	}
	if c.Record == nil {
		c.Record = func(Series) {}
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	switch {
	case c.Source == nil:
		return errors.New("no source")
	case c.From.After(c.To):
		return fmt.Errorf("it begins at %s, after it ends at %s", c.From, c.To)
	default:
		return nil
	}
}

// Run evaluates rules over a span of time. A rule that fails at some moments is
// no error: it records nothing then, and is among the failures.
func Run(ctx context.Context, c Config) (Result, error) {
	if err := c.defaults(); err != nil {
		return Result{}, fmt.Errorf("replay: %w", err)
	}
	p, err := newPlan(c)
	if err != nil {
		return Result{}, fmt.Errorf("replay: %w", err)
	}
	r := newRun(c, p)
	if err := r.all(ctx); err != nil {
		return Result{}, fmt.Errorf("replay: %w", err)
	}
	return r.result(), nil
}

func (r *run) result() Result {
	out := Result{Begin: time.UnixMilli(r.plan.begin)}
	for _, n := range r.plan.nodes {
		out.Firings = append(out.Firings, n.alerts.finish()...)
		if n.failure.Times > 0 {
			out.Failures = append(out.Failures, n.failure)
		}
	}
	slices.SortStableFunc(out.Firings, func(a, b Firing) int {
		return cmp.Or(a.From.Compare(b.From), labels.Compare(a.Labels, b.Labels))
	})
	return out
}
