package federation

import (
	"context"
	"errors"
	"fmt"
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
	read  span // the time that it is about; zero where that is now

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

// put asks all replicas of a cluster for what is no list.
func put[T any](ctx context.Context, s *survey, c *cluster, q question) ([]T, error) {
	return putAs(ctx, s, c, q, objectOf[T])
}

// putList asks all replicas of a cluster for a list.
func putList[E any](ctx context.Context, s *survey, c *cluster, q question) ([][]E, error) {
	return putAs(ctx, s, c, q, listOf[E])
}

// decoding reads an answer, and whether it came with warnings.
type decoding[T any] func(*answerBody) (*T, bool, error)

// putAs asks all replicas of a cluster at once: what one of them lacks, another
// has. It returns the answers in the order of the replicas. One that is much
// slower than the first to answer is not waited for; the error is that no
// replica answered.
func putAs[T any](ctx context.Context, s *survey, c *cluster, q question, as decoding[T]) ([]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make([]*T, len(c.replicas))
	errs := make([]error, len(c.replicas))
	done := make(chan int, len(c.replicas))
	for i, r := range c.replicas {
		go func() {
			answers[i], errs[i] = read(ctx, s, c, r, q, as)
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
	for i, a := range answers {
		if a != nil && len(out) < len(answers) {
			s.doubt(c, i)
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

// doubt notes what a replica of a cluster is known to lack when another does
// not answer. A day is what replicas are compared over whoever asks: that older
// data has not been compared is no doubt.
func (s *survey) doubt(c *cluster, i int) {
	if s.read == (span{}) {
		return
	}
	now := time.Now()
	t := span{s.read.from, min(s.read.to, now.UnixMilli())}
	if recent := max(t.from, now.Add(-holesAhead).UnixMilli()); recent <= t.to && !c.holes.lacking(i, t) {
		t.from = recent
	}
	c.doubt(c.replicas[i], t, s.scope.doubt)
}

// lacking tells whether a replica is known to lack data of a time.
func (h *holes) lacking(i int, t span) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.lacks[i].within(t)) > 0
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

func read[T any](ctx context.Context, s *survey, c *cluster, r *replica, q question, as decoding[T]) (*T, error) {
	resp, err := r.ask(ctx, q.path, q.form)
	if err != nil {
		return nil, inTime(ctx, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp.StatusCode)
	}
	data, warned, err := as(newAnswerBody(resp.Body, &s.scope.budget))
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

// selectorOf writes matchers as a selector of series. Prometheus refuses one
// that could match the empty set of labels, so that is said to be no series.
func selectorOf(ms []*labels.Matcher) string {
	if matches(labels.EmptyLabels(), ms) {
		ms = append(slices.Clip(ms), labels.MustNewMatcher(labels.MatchNotEqual, model.MetricNameLabel, ""))
	}
	return targetSelector(ms)
}
