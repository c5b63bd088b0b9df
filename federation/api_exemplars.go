package federation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// maxSeconds is beyond every time that there is, in seconds since 1970; its
// milliseconds are whole numbers.
const maxSeconds = 1 << 42

// exemplars answers for exemplars of all clusters. It stands behind
// Prometheus' own API, which has no way to say what is missing: saying does.
type exemplars struct {
	fed *Federation
	ctx context.Context //nolint:containedctx // of the one request that it is for.
}

var (
	_ storage.ExemplarQueryable = exemplars{}
	_ storage.ExemplarQuerier   = exemplars{}
)

// ExemplarQuerier returns a querier for one request.
func (e exemplars) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	return exemplars{fed: e.fed, ctx: ctx}, nil
}

// Select returns the exemplars of series that one of several sets of matchers
// matches, from start to end in milliseconds, both included.
func (e exemplars) Select(start, end int64, sets ...[]*labels.Matcher) ([]exemplar.QueryResult, error) {
	span := &lister{fed: e.fed, mint: start, maxt: end}
	s := span.survey(e.ctx)
	query := func(c *cluster) string {
		var selectors []string
		for _, ms := range sets {
			if rest, ok := c.decide(narrow(e.ctx, ms)); ok {
				selectors = append(selectors, selectorOf(rest))
			}
		}
		return strings.Join(selectors, " or ")
	}
	answers, err := each(e.ctx, s, func(c *cluster) bool { return query(c) != "" }, func(ctx context.Context, c *cluster) ([]exemplar.QueryResult, error) {
		form := span.form(0, nil)
		form.Set("query", query(c))
		return exemplarsOf(ctx, s, c, form)
	})
	if err != nil {
		return nil, err
	}
	said(e.ctx).add(s.notes())
	return mergeExemplars(slices.Concat(answers...)), nil
}

// exemplarSeries are the exemplars of a series in an answer of the API.
type exemplarSeries struct {
	SeriesLabels labels.Labels `json:"seriesLabels"`
	Exemplars    []struct {
		Labels    labels.Labels `json:"labels"`
		Value     string        `json:"value"`
		Timestamp float64       `json:"timestamp"` // seconds
	} `json:"exemplars"`
}

func exemplarsOf(ctx context.Context, s *survey, c *cluster, form url.Values) ([]exemplar.QueryResult, error) {
	answers, err := putList[exemplarSeries](ctx, s, c, question{"query_exemplars", form})
	if err != nil {
		return nil, err
	}
	b := labels.NewBuilder(labels.EmptyLabels())
	var out []exemplar.QueryResult
	for _, series := range slices.Concat(answers...) {
		result := exemplar.QueryResult{SeriesLabels: c.dress(b, series.SeriesLabels)}
		for _, one := range series.Exemplars {
			value, err := strconv.ParseFloat(one.Value, 64)
			if err != nil || math.Abs(one.Timestamp) > maxSeconds {
				return nil, brokenError("the value or the time of an exemplar is none")
			}
			result.Exemplars = append(result.Exemplars, exemplar.Exemplar{
				Labels: one.Labels, Value: value, Ts: int64(math.Round(one.Timestamp * 1000)), HasTs: true,
			})
		}
		out = append(out, result)
	}
	return out, nil
}

// mergeExemplars sorts by series, and in each by time, and keeps what is the
// same once.
func mergeExemplars(all []exemplar.QueryResult) []exemplar.QueryResult {
	slices.SortStableFunc(all, func(a, b exemplar.QueryResult) int { return labels.Compare(a.SeriesLabels, b.SeriesLabels) })
	out := []exemplar.QueryResult{}
	for _, one := range all {
		last := len(out) - 1
		if last < 0 || !labels.Equal(out[last].SeriesLabels, one.SeriesLabels) {
			out = append(out, one)
			continue
		}
		merged := slices.Concat(out[last].Exemplars, one.Exemplars)
		slices.SortFunc(merged, exemplar.Compare)
		out[last].Exemplars = slices.CompactFunc(merged, func(a, b exemplar.Exemplar) bool { return exemplar.Compare(a, b) == 0 })
	}
	return out
}

// remarks are what there is to say of an answer whose writer has no place for
// it.
type remarks struct {
	mu    sync.Mutex
	notes annotations.Annotations
}

func (r *remarks) add(notes annotations.Annotations) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.notes.Merge(notes)
}

type remarksKey struct{}

// said returns the remarks of a request, which go nowhere outside of saying.
func said(ctx context.Context) *remarks {
	if r, ok := ctx.Value(remarksKey{}).(*remarks); ok {
		return r
	}
	return &remarks{}
}

// saying adds to the answers of a handler, as Prometheus writes them, the
// warnings that were said of them.
func saying(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		notes, whole := &remarks{}, &pageWriter{header: w.Header(), status: http.StatusOK}
		r = r.Clone(context.WithValue(r.Context(), remarksKey{}, notes))
		r.Header.Del("Accept-Encoding")
		next.ServeHTTP(whole, r)
		body := whole.body.Bytes()
		warnings, _ := notes.notes.AsStrings("", maxWarnings, 0)
		if text, err := json.Marshal(warnings); err == nil && len(warnings) > 0 && bytes.HasSuffix(body, []byte("}")) {
			body = fmt.Appendf(body[:len(body)-1], `,"warnings":%s}`, text)
		}
		w.WriteHeader(whole.status)
		_, _ = w.Write(body) // the client may be gone
	})
}

// pageWriter keeps an answer.
type pageWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header.
func (p *pageWriter) Header() http.Header { return p.header }

// WriteHeader keeps the status.
func (p *pageWriter) WriteHeader(status int) { p.status = status }

// Write keeps a part of the body.
func (p *pageWriter) Write(b []byte) (int, error) { return p.body.Write(b) }
