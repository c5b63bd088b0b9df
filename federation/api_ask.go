package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/annotations"
)

// errTruncated is what Prometheus warns of where a limit cut an answer.
var errTruncated = errors.New("results truncated due to limit")

// replicaGrace is how much longer the replicas of a cluster are waited for,
// at least, when one of them has answered.
const replicaGrace = 250 * time.Millisecond

// survey is one request put to the clusters, and what is missing from it.
type survey struct {
	fed   *Federation
	scope *scope

	mu     sync.Mutex
	warned map[string]bool // clusters whose answer has warnings of its own
}

func (f *Federation) survey(ctx context.Context) *survey {
	return &survey{fed: f, scope: newScope(ctx, f.config.MaxBytes), warned: map[string]bool{}}
}

// notes returns what there is to say of an answer.
func (s *survey) notes() annotations.Annotations {
	var out annotations.Annotations
	for _, err := range s.scope.warnings() {
		out.Add(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.warned {
		out.Add(fmt.Errorf("cluster %q: its own answer has warnings", name))
	}
	return out
}

func (s *survey) warn(c *cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.warned[c.name] = true
}

// each asks at once every cluster that of picks, and returns the answers in
// the order of the configuration, nil where there is none. Clusters that do
// not answer are noted as missing; the error is one of the whole request.
func each[T any](ctx context.Context, s *survey, of func(c *cluster) bool, ask func(ctx context.Context, c *cluster) ([]T, error)) ([][]T, error) {
	answers := make([][]T, len(s.fed.clusters))
	errs := make([]error, len(s.fed.clusters))
	var running sync.WaitGroup
	for i, c := range s.fed.clusters {
		if !of(c) {
			continue
		}
		s.scope.ask(c)
		running.Go(func() {
			within, cancel := context.WithTimeout(ctx, c.limit(ctx))
			defer cancel()
			answers[i], errs[i] = ask(within, c)
		})
	}
	running.Wait()
	return answers, s.judge(ctx, errs)
}

// judge notes the clusters that did not answer, and returns an error where
// there can be no answer without them.
func (s *survey) judge(ctx context.Context, errs []error) error {
	if err := ctx.Err(); err != nil {
		return endOfTime(err)
	}
	failed, err := s.scope.missAll(s.fed.clusters, errs)
	if err != nil {
		return err
	}
	if failed && (s.scope.failPartial || s.silent()) {
		return s.scope.unavailable()
	}
	return nil
}

// silent tells whether no cluster that was asked answered.
func (s *survey) silent() bool {
	s.scope.mu.Lock()
	defer s.scope.mu.Unlock()
	return len(s.scope.missing) == len(s.scope.asked)
}

// question is a request to the servers of a cluster.
type question struct {
	path string
	form url.Values
}

// put asks all replicas of a cluster at once: what one of them lacks, another
// has. It returns the answers in the order of the replicas. One that is much
// slower than the first to answer is not waited for; the error is that no
// replica answered.
func put[T any](ctx context.Context, s *survey, c *cluster, q question) ([]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make([]*T, len(c.replicas))
	errs := make([]error, len(c.replicas))
	done := make(chan int, len(c.replicas))
	for i, r := range c.replicas {
		go func() {
			answers[i], errs[i] = read[T](ctx, s, c, r, q)
			done <- i
		}()
	}
	wait(done, errs, cancel)
	var out []T
	for _, a := range answers {
		if a != nil {
			out = append(out, *a)
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	return nil, replicaErrors(errs)
}

// wait waits for all replicas; once one has answered, the others get little
// more time.
func wait(done <-chan int, errs []error, cancel context.CancelFunc) {
	begin := time.Now()
	var late *time.Timer
	for range errs {
		if i := <-done; errs[i] == nil && late == nil {
			late = time.AfterFunc(max(replicaGrace, time.Since(begin)), cancel)
		}
	}
	if late != nil {
		late.Stop()
	}
}

func read[T any](ctx context.Context, s *survey, c *cluster, r *replica, q question) (*T, error) {
	resp, err := r.ask(ctx, q.path, q.form)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp.StatusCode)
	}
	data, warned, err := decodeData[T](&budgetReader{r: resp.Body, budget: &s.scope.budget})
	if warned {
		s.warn(c)
	}
	if err == nil {
		c.vouch(ctx, r, ever(), s.scope.doubt)
	}
	return data, inTime(ctx, err)
}

// inTime names the end of time as the cause of whatever it brought about, but
// for errors that are of its end themselves, and may say more.
func inTime(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil && !isTimeout(err) {
		return ctx.Err()
	}
	return err
}

// decodeData reads the data of an answer of Prometheus' API, and whether it
// came with warnings, other than that it is as short as was wanted.
func decodeData[T any](r io.Reader) (data *T, warned bool, err error) {
	var answer struct {
		Status   string   `json:"status"`
		Data     T        `json:"data"`
		Warnings []string `json:"warnings"`
	}
	body := &faultReader{r: r}
	switch err := json.NewDecoder(body).Decode(&answer); {
	case body.err != nil:
		return nil, false, body.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, false, io.ErrUnexpectedEOF
	case err != nil || answer.Status != "success":
		return nil, false, brokenError("not what Prometheus' API answers")
	}
	own := slices.DeleteFunc(answer.Warnings, func(w string) bool { return w == errTruncated.Error() })
	return &answer.Data, len(own) > 0, nil
}

// faultReader remembers what reading failed with.
type faultReader struct {
	r   io.Reader
	err error
}

// Read reads.
func (f *faultReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// selectorOf writes matchers as a selector of series. Prometheus refuses one
// that could match the empty set of labels, so that is said to be no series.
func selectorOf(ms []*labels.Matcher) string {
	if matches(labels.EmptyLabels(), ms) {
		ms = append(slices.Clip(ms), labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""))
	}
	return targetSelector(ms)
}
