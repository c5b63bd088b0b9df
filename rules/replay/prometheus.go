package replay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/midwatch-slo/midwatch/internal/bounded"
)

// LongestRange is how many steps a Prometheus gives at once.
const LongestRange = 11_000

// Limits of one request: what is larger would not fit in memory twice, in
// bytes.
const (
	maxResponse = 256 << 20
	fewSteps    = 60 // are not asked for in two halves
)

// PrometheusConfig says how to ask a Prometheus.
type PrometheusConfig struct {
	URL       string
	Transport http.RoundTripper // with what the server wants to see of its callers; nil: nothing
	Deadline  time.Duration     // of one request; 1 minute
	Retries   int               // after the first attempt; 4
	Backoff   time.Duration     // before the first retry, twice as long before each next; 1 second
}

// Prometheus is a source that asks a Prometheus over HTTP.
type Prometheus struct {
	c   PrometheusConfig
	api v1.API

	mu       sync.Mutex
	warnings []string
}

var _ Source = (*Prometheus)(nil)

// NewPrometheus returns a source that asks a Prometheus, or what speaks its
// HTTP API.
func NewPrometheus(c PrometheusConfig) (*Prometheus, error) {
	c.Deadline = cmp.Or(c.Deadline, time.Minute)
	c.Retries = cmp.Or(c.Retries, 4)
	c.Backoff = cmp.Or(c.Backoff, time.Second)
	if c.Transport == nil {
		c.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute}
	}
	client, err := api.NewClient(api.Config{Address: c.URL, RoundTripper: bounded.Transport{RoundTripper: c.Transport, Most: maxResponse}})
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	return &Prometheus{c: c, api: v1.NewAPI(client)}, nil
}

// Warnings returns what the server warned of, each once, such as that a part
// of the answer is missing.
func (p *Prometheus) Warnings() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.warnings)
}

// Range implements Source. It asks for no more points than the server gives
// at once, and for fewer where it says that they are too many.
func (p *Prometheus) Range(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	var all promql.Matrix
	for !from.After(to) {
		end := from.Add((LongestRange - 1) * step)
		if end.After(to) {
			end = to
		}
		found, err := p.piece(ctx, expr, from, end, step)
		if err != nil {
			return nil, err
		}
		all = joined(all, found)
		from = end.Add(step)
	}
	return all, nil
}

// piece asks once, and again where that may help.
func (p *Prometheus) piece(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	wait := p.c.Backoff
	for attempt := 0; ; attempt++ {
		found, err := p.ask(ctx, expr, from, to, step)
		switch {
		case err == nil:
			return found, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, context.DeadlineExceeded) && !p.answers(ctx):
			return nil, fmt.Errorf("ask prometheus: it does not answer within %s, not even a question that costs it nothing", p.c.Deadline)
		case tooMuch(err) && to.Sub(from) > fewSteps*step:
			return p.halves(ctx, expr, from, to, step)
		case !passing(err) || attempt == p.c.Retries:
			return nil, p.explain(err, expr)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
		wait *= 2
	}
}

// answers tells whether the server answers anything at all: one that does not
// is not asked for less and less.
func (p *Prometheus) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, p.c.Deadline)
	defer cancel()
	_, _, err := p.api.Query(ctx, "vector(1)", time.Now())
	return !errors.Is(err, context.DeadlineExceeded)
}

func (p *Prometheus) halves(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	middle := from.Add(to.Sub(from) / 2 / step * step)
	first, err := p.piece(ctx, expr, from, middle, step)
	if err != nil {
		return nil, err
	}
	second, err := p.piece(ctx, expr, middle.Add(step), to, step)
	return joined(first, second), err
}

func (p *Prometheus) ask(ctx context.Context, expr string, from, to time.Time, step time.Duration) (promql.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.Deadline)
	defer cancel()
	value, warnings, err := p.api.QueryRange(ctx, expr, v1.Range{Start: from, End: to, Step: step})
	p.warn(warnings)
	if err != nil {
		return nil, err
	}
	m, ok := value.(model.Matrix)
	if !ok {
		return nil, &v1.Error{Type: v1.ErrBadResponse, Msg: "it is no matrix"}
	}
	return matrix(m)
}

// warn keeps warnings, but those about the values of an expression, which are
// the same for whoever evaluates it.
func (p *Prometheus) warn(warnings v1.Warnings) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range warnings {
		if !strings.HasPrefix(w, "PromQL ") && !slices.Contains(p.warnings, w) && len(p.warnings) < 20 {
			p.warnings = append(p.warnings, w)
		}
	}
}

func matrix(m model.Matrix) (promql.Matrix, error) {
	out := make(promql.Matrix, 0, len(m))
	b := labels.NewScratchBuilder(8)
	for _, s := range m {
		if s == nil { // null
			return nil, &v1.Error{Type: v1.ErrBadResponse, Msg: "a series of it is none"}
		}
		if len(s.Histograms) > 0 {
			return nil, &EvaluationError{errors.New("it gives histograms, which are not replayed")}
		}
		b.Reset()
		for name, value := range s.Metric {
			b.Add(string(name), string(value))
		}
		b.Sort()
		points := make([]promql.FPoint, len(s.Values))
		for i, v := range s.Values {
			points[i] = promql.FPoint{T: int64(v.Timestamp), F: float64(v.Value)}
		}
		out = append(out, promql.Series{Metric: b.Labels(), Floats: points})
	}
	return out, nil
}

// tooMuch tells whether the server, or the wait, ends before so long a query
// does.
func tooMuch(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, bounded.ErrTooLarge) {
		return true
	}
	e, ok := errors.AsType[*v1.Error](err)
	return ok && (e.Type == v1.ErrTimeout || strings.Contains(e.Msg, "too many samples") || strings.Contains(e.Msg, "exceeded maximum resolution"))
}

// passing tells whether an error may not come again.
func passing(err error) bool {
	e, ok := errors.AsType[*v1.Error](err)
	switch {
	case !ok:
		_, network := errors.AsType[net.Error](err) // an url.Error is one
		return network || errors.Is(err, io.ErrUnexpectedEOF)
	case e.Type == v1.ErrClient:
		return strings.Contains(e.Msg, "429")
	default:
		return e.Type == v1.ErrServer || e.Type == v1.ErrTimeout || e.Type == v1.ErrCanceled
	}
}

func (p *Prometheus) explain(err error, expr string) error {
	if e, ok := errors.AsType[*v1.Error](err); ok && e.Type == v1.ErrExec && !tooMuch(err) {
		return &EvaluationError{fmt.Errorf("%s: %s", expr, e.Msg)}
	}
	return fmt.Errorf("ask prometheus: %w; it was asked for %s", err, clip(expr))
}

// clip returns as much of an expression as one reads in an error.
func clip(expr string) string {
	const most = 300 // characters
	if runes := []rune(expr); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return expr
}
