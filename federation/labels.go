package federation

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// catalogue answers which series, labels and values there are, without
// samples. It stands behind Prometheus' own API.
type catalogue struct{ fed *Federation }

var (
	_ storage.SampleAndChunkQueryable = catalogue{}

	errNoSamples = errors.New("there are no samples here")
)

// Querier returns a querier over all clusters.
func (c catalogue) Querier(mint, maxt int64) (storage.Querier, error) {
	return &lister{fed: c.fed, mint: mint, maxt: maxt}, nil
}

// ChunkQuerier is not served.
func (catalogue) ChunkQuerier(int64, int64) (storage.ChunkQuerier, error) { return nil, errNoSamples }

// lister lists what there is over a span of time.
type lister struct {
	fed        *Federation
	mint, maxt int64
}

var _ storage.Querier = (*lister)(nil)

// Close does nothing.
func (*lister) Close() error { return nil }

// survey returns a request about that time.
func (l *lister) survey(ctx context.Context) *survey {
	s := l.fed.survey(ctx)
	s.read = span{l.mint, l.maxt}
	return s
}

// form returns the parameters of every request for the clusters.
func (l *lister) form(limit int, rest []*labels.Matcher) url.Values {
	form := url.Values{}
	if l.mint != timestamp.FromTime(v1.MinTime) {
		form.Set("start", seconds(l.mint))
	}
	if l.maxt != timestamp.FromTime(v1.MaxTime) {
		form.Set("end", seconds(l.maxt))
	}
	if limit > 0 {
		form.Set("limit", strconv.Itoa(limit))
	}
	if len(rest) > 0 {
		form.Set("match[]", selectorOf(rest))
	}
	return form
}

func seconds(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', -1, 64) }

func limitOf(hints *storage.LabelHints) int {
	if hints == nil {
		return 0
	}
	return hints.Limit
}

// picks returns whether a cluster can have series that matchers match.
func picks(ms []*labels.Matcher) func(c *cluster) bool {
	return func(c *cluster) bool {
		_, ok := c.decide(ms)
		return ok
	}
}

// LabelNames returns the names of labels that series have which matchers
// match, sorted.
func (l *lister) LabelNames(ctx context.Context, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ms = narrow(ctx, ms)
	own, err := l.localNames(ctx, hints, ms)
	if err != nil {
		return nil, nil, err
	}
	return l.union(ctx, own, ms, limitOf(hints), func(ctx context.Context, s *survey, c *cluster) ([][]string, error) {
		return l.names(ctx, s, c, limitOf(hints), ms)
	})
}

func (l *lister) names(ctx context.Context, s *survey, c *cluster, limit int, ms []*labels.Matcher) ([][]string, error) {
	rest, _ := c.decide(ms)
	if limit > 0 {
		limit += len(c.dropped) + len(c.external) // what may go, or be there already
	}
	answers, err := putList[string](ctx, s, c, question{"labels", l.form(limit, rest)})
	if err != nil {
		return nil, err
	}
	names := slices.Concat(answers...)
	if len(names) == 0 {
		return nil, nil // no series
	}
	names = slices.DeleteFunc(names, func(name string) bool { return c.dropped[name] || name == "" })
	return [][]string{names, slices.Collect(maps.Keys(c.external))}, nil
}

// LabelValues returns the values that a label has in series that matchers
// match, sorted.
func (l *lister) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, ms ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	ms = narrow(ctx, ms)
	own, err := l.localValues(ctx, name, hints, ms)
	if err != nil {
		return nil, nil, err
	}
	return l.union(ctx, own, ms, limitOf(hints), func(ctx context.Context, s *survey, c *cluster) ([][]string, error) {
		return l.values(ctx, s, c, name, limitOf(hints), ms)
	})
}

func (l *lister) values(ctx context.Context, s *survey, c *cluster, name string, limit int, ms []*labels.Matcher) ([][]string, error) {
	if c.dropped[name] {
		return nil, nil
	}
	rest, _ := c.decide(ms)
	if value, external := c.external[name]; external {
		names, err := putList[string](ctx, s, c, question{"labels", l.form(1, rest)})
		if err != nil || len(slices.Concat(names...)) == 0 {
			return nil, err // no series
		}
		return [][]string{{value}}, nil
	}
	return putList[string](ctx, s, c, question{"label/" + escaped(name) + "/values", l.form(limit, rest)})
}

// escaped returns the name of a label as it stands in a path: what is no
// legacy name, or would be read as escaped, by the prefix U__.
func escaped(name string) string {
	if strings.HasPrefix(name, "U__") {
		return "U__" + strings.ReplaceAll(name, "_", "__")
	}
	return model.EscapeName(name, model.ValueEncodingEscaping)
}

// union asks the clusters that matchers pick, and returns what is held here
// and what any of them answers, sorted and once.
func (l *lister) union(ctx context.Context, own []string, ms []*labels.Matcher, limit int, ask func(context.Context, *survey, *cluster) ([][]string, error)) ([]string, annotations.Annotations, error) {
	s := l.survey(ctx)
	answers, err := each(ctx, s, picks(ms), func(ctx context.Context, c *cluster) ([][]string, error) { return ask(ctx, s, c) })
	if err != nil {
		return nil, nil, err
	}
	all := slices.Concat(own, slices.Concat(slices.Concat(answers...)...))
	slices.Sort(all)
	all = slices.Compact(all)
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, s.notes(), nil
}

// Select returns the labels of series. It asks at once, and does not wait.
func (l *lister) Select(ctx context.Context, _ bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	limit := 0
	if hints != nil {
		limit = hints.Limit
	}
	set := &labelSets{done: make(chan struct{}), at: -1}
	go func() {
		defer close(set.done)
		set.sets, set.notes, set.err = l.series(ctx, limit, narrow(ctx, ms))
	}()
	return set
}

// series returns the labels of series, sorted and once.
func (l *lister) series(ctx context.Context, limit int, ms []*labels.Matcher) ([]labels.Labels, annotations.Annotations, error) {
	s := l.survey(ctx)
	answers, err := each(ctx, s, picks(ms), func(ctx context.Context, c *cluster) ([]labels.Labels, error) {
		rest, _ := c.decide(ms)
		return l.seriesOf(ctx, s, c, limit, rest)
	})
	if err != nil {
		return nil, nil, err
	}
	own, err := l.localSeries(ctx, limit, ms)
	if err != nil {
		return nil, nil, err
	}
	return distinct(slices.Concat(own, slices.Concat(answers...))), s.notes(), nil
}

// seriesOf returns the labels of a cluster's series as they are seen here.
// Where a limit left out some, and what it left is the same without replica
// labels, the cluster is asked again without it.
func (l *lister) seriesOf(ctx context.Context, s *survey, c *cluster, limit int, rest []*labels.Matcher) ([]labels.Labels, error) {
	form := l.form(limit, rest)
	form.Set("match[]", selectorOf(rest))
	answers, err := putAs(ctx, s, c, question{"series", form}, c.dressed)
	if err != nil {
		return nil, err
	}
	cut := slices.ContainsFunc(answers, func(sets []labels.Labels) bool { return limit > 0 && len(sets) >= limit })
	all := distinct(slices.Concat(answers...))
	if cut && len(all) < limit {
		return l.seriesOf(ctx, s, c, 0, rest)
	}
	return all, nil
}

// dressed reads the labels of series of an answer, as they are seen here.
func (c *cluster) dressed(body *answerBody) (*[]labels.Labels, bool, error) {
	b := labels.NewBuilder(labels.EmptyLabels())
	var all []labels.Labels
	warned, err := decodeList(body, func(set labels.Labels) {
		if !set.IsEmpty() {
			all = append(all, c.dress(b, set))
		}
	})
	return &all, warned, err
}

// distinct sorts label sets and keeps each once. No labels at all are no
// series.
func distinct(sets []labels.Labels) []labels.Labels {
	sets = slices.DeleteFunc(sets, labels.Labels.IsEmpty)
	slices.SortFunc(sets, labels.Compare)
	return slices.CompactFunc(sets, labels.Equal)
}

// labelSets are series without samples, which are waited for when first read.
type labelSets struct {
	done  chan struct{} // closed when the next three are set
	sets  []labels.Labels
	notes annotations.Annotations
	err   error
	at    int
}

var _ storage.SeriesSet = (*labelSets)(nil)

// Next moves to the next series.
func (s *labelSets) Next() bool {
	<-s.done
	s.at++
	return s.at < len(s.sets)
}

// At returns the current series.
func (s *labelSets) At() storage.Series { return labelled(s.sets[s.at]) }

// Err returns why there is no answer.
func (s *labelSets) Err() error {
	<-s.done
	return s.err
}

// Warnings returns what is missing.
func (s *labelSets) Warnings() annotations.Annotations {
	<-s.done
	return s.notes
}

// labelled is a series without samples.
type labelled labels.Labels

// Labels returns the labels of the series.
func (l labelled) Labels() labels.Labels { return labels.Labels(l) }

// Iterator returns an iterator over nothing.
func (labelled) Iterator(chunkenc.Iterator) chunkenc.Iterator { return chunkenc.NewNopIterator() }
