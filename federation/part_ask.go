package federation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/midwatch-slo/midwatch/federation/answer"
	"github.com/midwatch-slo/midwatch/federation/plan"
)

const (
	// maxRequestSteps is how many steps a Prometheus evaluates for one request.
	maxRequestSteps = 11_000
	// maxErrorBytes bounds an answer that is an error.
	maxErrorBytes = 64 << 10
)

// evaluation is what a cluster is to evaluate.
type evaluation struct {
	query    *plan.Query
	window   plan.Window
	labels   labels.Labels
	grouped  bool // series that are alike in what is kept are wanted together
	lookback time.Duration
	pushes   plan.Pushes // what it was planned to be able to
	absent   []string    // labels that its series were planned not to have
	scope    *scope
}

// evaluate has the cluster evaluate a query. An unheldError says that its
// answer, though there may be one, is not what the plan needs.
func (c *cluster) evaluate(ctx context.Context, e evaluation) (*answer.Answer, error) {
	within, cancel := context.WithTimeout(ctx, c.limit(ctx))
	defer cancel()
	begin := time.Now()
	a, err := c.evaluateWhole(within, e)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // the query's end, not the cluster's fault
	}
	answered := err
	if _, unheld := errors.AsType[unheldError](err); unheld {
		answered = nil
	}
	c.metrics.observe(c.name, outcome(answered), time.Since(begin))
	if ctx.Err() == nil && !errors.Is(err, errTooMuch) {
		c.health.note(ctx, c, answered)
	}
	return a, err
}

// evaluateWhole asks a replica that has all samples. When that one does not
// answer, or takes long, another is asked; what that is known to lack is told.
func (c *cluster) evaluateWhole(ctx context.Context, e evaluation) (*answer.Answer, error) {
	order, whole := c.whole(e.query.Mint, e.query.Maxt)
	if !whole {
		return nil, unheldError{why: Holes}
	}
	type evaluated struct {
		answer *answer.Answer
		unheld error
	}
	got, _, err := first(ctx, c, order, span{e.query.Mint, e.query.Maxt}, func(ctx context.Context, r *replica) (evaluated, error) {
		a, err := c.evaluateOn(ctx, r, e)
		if _, unheld := errors.AsType[unheldError](err); unheld {
			return evaluated{a, err}, nil
		}
		return evaluated{answer: a}, err
	}, e.scope.doubt)
	if err != nil {
		return nil, err
	}
	return got.answer, got.unheld
}

// evaluateOn asks one replica for what is not kept.
func (c *cluster) evaluateOn(ctx context.Context, r *replica, e evaluation) (*answer.Answer, error) {
	if a, done, err := c.inPieces(ctx, r, e); done {
		return a, err
	}
	return c.evaluateSteps(ctx, r, e, gridOf(e.window))
}

// evaluateSteps asks one replica, in pieces when there are more steps than it
// evaluates at once.
func (c *cluster) evaluateSteps(ctx context.Context, r *replica, e evaluation, g answer.Grid) (*answer.Answer, error) {
	if g.Steps <= maxRequestSteps {
		return c.request(ctx, r, e, g)
	}
	if !e.query.Splits() {
		return nil, c.unheld(Refused, e)
	}
	pieces := make([]*answer.Answer, (g.Steps+maxRequestSteps-1)/maxRequestSteps)
	errs := make([]error, len(pieces))
	var running sync.WaitGroup
	for i := range pieces {
		begin := i * maxRequestSteps
		one := answer.Grid{Start: g.Start + int64(begin)*g.Step, Step: g.Step, Steps: min(maxRequestSteps, g.Steps-begin)}
		running.Go(func() { pieces[i], errs[i] = c.request(ctx, r, e, one) })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return answer.Join(&g, pieces), nil
}

// request asks one replica for an answer at the steps of a grid.
func (c *cluster) request(ctx context.Context, r *replica, e evaluation, g answer.Grid) (*answer.Answer, error) {
	b, err := r.backend(ctx)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	if r.pushes(b) < e.pushes {
		return nil, unheldError{why: Refused}
	}
	switch lacking, err := c.lacking(ctx, r, e.absent); {
	case err != nil:
		return nil, inTime(ctx, err)
	case !lacking:
		return nil, unheldError{why: Unclean}
	}
	path, form := e.form(ctx, g)
	resp, err := r.ask(ctx, path, form)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, c.refusal(resp, e)
	}
	whole := g.Steps == gridOf(e.window).Steps // else pieces are joined by their labels
	a, err := answer.Decode(&budgetReader{r: resp.Body, budget: &e.scope.budget}, answer.Request{
		Grid: g, Labels: e.labels, Foreign: e.query.Foreign, Sums: e.query.Sums, Hold: e.scope.hold,
		Projected: whole && e.query.Projected, Keep: e.query.Keep, Grouped: whole && e.grouped,
	})
	return a, inTime(ctx, c.understood(err, e))
}

// form returns the path and the parameters of a request.
func (e *evaluation) form(ctx context.Context, g answer.Grid) (string, url.Values) {
	form := url.Values{"query": {e.query.Text}, "lookback_delta": {inMillis(e.lookback.Milliseconds())}}
	if deadline, ok := ctx.Deadline(); ok {
		form.Set("timeout", inMillis(max(1, time.Until(deadline).Milliseconds())))
	}
	if g.Steps == 1 {
		form.Set("time", sinceEpoch(g.Start))
		return "query", form
	}
	form.Set("start", sinceEpoch(g.Start))
	form.Set("end", sinceEpoch(g.Start+int64(g.Steps-1)*g.Step))
	form.Set("step", inMillis(g.Step))
	return "query_range", form
}

func inMillis(ms int64) string { return strconv.FormatInt(ms, 10) + "ms" }

func formatSeconds(ms int64) string {
	return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64)
}

// refusal returns what an answer other than 200 means: that the server does
// not evaluate the query, or that it is in trouble.
func (c *cluster) refusal(resp *http.Response, e evaluation) error {
	status := statusError(resp.StatusCode)
	if notServed(status) || resp.StatusCode == http.StatusUnprocessableEntity {
		return c.unheld(Refused, e)
	}
	_, err := answer.Decode(io.LimitReader(resp.Body, maxErrorBytes), answer.Request{})
	var failure answer.Failure
	if errors.As(err, &failure) && failure.Type == "timeout" {
		return fmt.Errorf("%w: %w", status, context.DeadlineExceeded)
	}
	return status
}

func (c *cluster) unheld(why Run, e evaluation) unheldError {
	return unheldError{why: why, cluster: c.name, text: e.query.Text}
}

// understood returns what an error of decoding means.
func (c *cluster) understood(err error, e evaluation) error {
	var (
		broken  answer.Broken
		unfit   answer.Unfit
		failure answer.Failure
	)
	switch {
	case errors.As(err, &unfit):
		return c.unheld(map[answer.Unfit]Run{
			answer.Histogram: Histograms, answer.Foreign: Unclean, answer.Overflow: Overflow, answer.Times: Times,
		}[unfit], e)
	case errors.As(err, &failure):
		return c.unheld(Refused, e)
	case errors.As(err, &broken):
		return brokenError(string(broken))
	}
	return err
}

// assumed returns what the cluster is planned to run: what those of its
// servers can that told what they are. Of one that has not told it is found
// out when it is asked.
func (c *cluster) assumed() plan.Pushes {
	out := plan.PushAll
	for _, r := range c.replicas {
		if b, told := r.is.last(); told {
			out = min(out, r.pushes(b))
		}
	}
	return out
}
