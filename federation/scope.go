package federation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

// maxWarnings is how many warnings Prometheus' API puts into an answer; of
// more it leaves out any.
const maxWarnings = 10

// scope is what one query knows of the clusters it asked.
type scope struct {
	failPartial bool
	budget      budget
	maxSamples  int64
	samples     atomic.Int64    // that parts hold
	forced      map[string]bool // notes that tell of all histograms, by text

	mu      sync.Mutex
	asked   map[string]bool
	missing map[string]string // cluster → cause
	same    map[string]int    // cluster → series that became another's; "" between clusters
	doubts  map[string]string // cluster → what a replica that answers alone lacks
}

func newScope(ctx context.Context, maxBytes int64) *scope {
	return &scope{
		failPartial: failsPartial(ctx),
		budget:      budget{limit: maxBytes},
		maxSamples:  math.MaxInt64,
		asked:       map[string]bool{},
		missing:     map[string]string{},
		same:        map[string]int{},
		doubts:      map[string]string{},
	}
}

func (s *scope) ask(c *cluster) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[c.name] = true
}

func (s *scope) miss(c *cluster, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.missing[c.name]; !known {
		s.missing[c.name] = cause(err, c.timeout)
	}
}

// misses tells whether a cluster did not answer.
func (s *scope) misses(cluster string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, missing := s.missing[cluster]
	return missing
}

// hold counts samples that parts hold; more than a query may are errTooMuch.
func (s *scope) hold(n int) error {
	if s.samples.Add(int64(n)) > s.maxSamples {
		return errTooMuch
	}
	return nil
}

// tellForced keeps in mind which notes of clusters tell of all histograms.
func (s *scope) tellForced(notes annotations.Annotations) {
	for text, n := range notes {
		if _, ok := errors.AsType[*forced](n); ok {
			if s.forced == nil {
				s.forced = map[string]bool{}
			}
			s.forced[text] = true
		}
	}
}

// missAll notes the clusters that did not answer, and whether there are any.
// That they sent too much is an error of the query.
func (s *scope) missAll(clusters []*cluster, errs []error) (failed bool, err error) {
	for i, err := range errs {
		switch {
		case err == nil:
		case errors.Is(err, errTooMuch):
			return failed, promql.ErrTooManySamples("query execution")
		default:
			failed = true
			s.miss(clusters[i], err)
		}
	}
	return failed, nil
}

func (s *scope) merged(cluster string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > 0 {
		s.same[cluster] += n
	}
}

// itsOwnWarnings is a doubt about a server's answer that came with warnings.
const itsOwnWarnings = "its own answer has warnings"

// warnedAs takes over which clusters warned of their answers in an earlier run
// of the query: of raw samples, not every server says so.
func (s *scope) warnedAs(before *scope) {
	before.mu.Lock()
	defer before.mu.Unlock()
	for name, text := range before.doubts {
		if text == itsOwnWarnings {
			s.doubt(name, text)
		}
	}
}

// doubt notes that data of a cluster may be missing.
func (s *scope) doubt(cluster, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubts[cluster] = text
}

// unavailable returns an error that names the missing clusters.
func (s *scope) unavailable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	what := "partial answers are not wanted, and data is missing"
	if len(s.missing) == len(s.asked) {
		what = "no queried cluster answered"
	}
	return unavailableError{what + ": " + s.list()}
}

// list names the missing clusters. The caller holds the lock.
func (s *scope) list() string {
	parts := make([]string, 0, len(s.missing))
	for _, name := range slices.Sorted(maps.Keys(s.missing)) {
		parts = append(parts, fmt.Sprintf("cluster %q (%s)", name, s.missing[name]))
	}
	return strings.Join(parts, ", ")
}

// conclude adds to a result what the query knows of the clusters, and makes
// an error of a result that no queried cluster contributed to.
func (s *scope) conclude(res *promql.Result) (*promql.Result, string) {
	s.mu.Lock()
	missing, asked := len(s.missing), len(s.asked)
	s.mu.Unlock()
	var unavailable unavailableError
	switch {
	case errors.As(res.Err, &unavailable):
		return &promql.Result{Err: unavailable, Warnings: withFirst(s.warnings(), nil)}, "error"
	case res.Err != nil:
		return &promql.Result{Err: endOfTime(res.Err), Warnings: res.Warnings}, "error"
	case missing > 0 && (missing == asked || s.failPartial):
		return &promql.Result{Err: s.unavailable(), Warnings: withFirst(s.warnings(), nil)}, "error"
	}
	res.Warnings = withFirst(s.warnings(), res.Warnings)
	if missing > 0 {
		return res, "partial"
	}
	return res, "complete"
}

// endOfTime gives an ended context the name that Prometheus gives it.
func endOfTime(err error) error {
	var timeout promql.ErrQueryTimeout
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &timeout) {
		return promql.ErrQueryTimeout("expression evaluation")
	}
	return err
}

func (s *scope) warnings() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []error
	if len(s.missing) > 0 {
		out = append(out, &missingError{text: "missing from this answer: " + s.list(), clusters: maps.Clone(s.missing)})
	}
	for _, name := range slices.Sorted(maps.Keys(s.doubts)) {
		out = append(out, &doubtError{cluster: name, text: s.doubts[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.same)) {
		who := "clusters"
		if name != "" {
			who = fmt.Sprintf("cluster %q", name)
		}
		out = append(out, fmt.Errorf("%s: %d series have the labels of another one once external labels are set and replica labels dropped; their samples are merged", who, s.same[name]))
	}
	return out
}

// withFirst adds warnings to those of the engine such that the ones added are
// never among those that the API leaves out.
func withFirst(first []error, engine annotations.Annotations) annotations.Annotations {
	if len(first) == 0 {
		return engine
	}
	out := annotations.Annotations{}
	for _, err := range first {
		out.Add(err)
	}
	var others []error
	for _, err := range engine {
		if errors.Is(err, annotations.PromQLInfo) {
			out.Add(err)
		} else {
			others = append(others, err)
		}
	}
	slices.SortFunc(others, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	room := max(0, maxWarnings-len(first))
	if len(others) > room {
		room = max(0, room-1)
		out.Add(fmt.Errorf("%d more warning annotations omitted", len(others)-room))
		others = others[:room]
	}
	for _, err := range others {
		out.Add(err)
	}
	return out
}
