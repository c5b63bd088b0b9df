package federation

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/util/annotations"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// targets answers with the targets of all clusters: active ones under the
// external labels, dropped ones with the labels that they were discovered
// with.
func (f *Federation) targets(r *http.Request) (any, annotations.Annotations, error) {
	params := r.URL.Query()
	form := url.Values{}
	for _, name := range []string{"state", "scrapePool"} {
		if v := params.Get(name); v != "" {
			form.Set(name, v)
		}
	}
	out, s, err := f.targetsOf(r.Context(), form)
	if err != nil {
		return nil, nil, err
	}
	if pool := params.Get("scrapePool"); pool != "" { // of which old servers know nothing
		out.ActiveTargets = slices.DeleteFunc(out.ActiveTargets, func(t *v1.Target) bool { return t.ScrapePool != pool })
		out.DroppedTargets = slices.DeleteFunc(out.DroppedTargets, func(t *v1.DroppedTarget) bool { return t.ScrapePool != pool })
	}
	return out, s.notes(), nil
}

func (f *Federation) targetsOf(ctx context.Context, form url.Values) (*v1.TargetDiscovery, *survey, error) {
	s := f.survey(ctx)
	answers, err := each(ctx, s, everywhere(ctx), func(ctx context.Context, c *cluster) ([]v1.TargetDiscovery, error) {
		return discovered(ctx, s, c, form)
	})
	if err != nil {
		return nil, s, err
	}
	out := &v1.TargetDiscovery{ActiveTargets: []*v1.Target{}, DroppedTargets: []*v1.DroppedTarget{}}
	for _, one := range slices.Concat(answers...) {
		out.ActiveTargets = append(out.ActiveTargets, one.ActiveTargets...)
		out.DroppedTargets = append(out.DroppedTargets, one.DroppedTargets...)
		for pool, n := range one.DroppedTargetCounts {
			if out.DroppedTargetCounts == nil {
				out.DroppedTargetCounts = map[string]int{}
			}
			out.DroppedTargetCounts[pool] += n
		}
	}
	slices.SortStableFunc(out.ActiveTargets, func(a, b *v1.Target) int { return cmp.Compare(a.ScrapePool, b.ScrapePool) })
	slices.SortStableFunc(out.DroppedTargets, func(a, b *v1.DroppedTarget) int { return cmp.Compare(a.ScrapePool, b.ScrapePool) })
	return out, s, nil
}

// discovered returns the targets of a cluster that may be seen, those of its
// replicas once.
func discovered(ctx context.Context, s *survey, c *cluster, form url.Values) ([]v1.TargetDiscovery, error) {
	answers, err := put[v1.TargetDiscovery](ctx, s, c, question{"targets", form})
	if err != nil {
		return nil, err
	}
	d := discovery{cluster: c, bound: bound(ctx), open: c.open(ctx), seen: map[string]bool{}, counts: map[string]int{}}
	for _, a := range answers {
		d.add(a)
	}
	return []v1.TargetDiscovery{d.out}, nil
}

// discovery gathers the targets of the replicas of a cluster.
type discovery struct {
	cluster *cluster
	bound   []*labels.Matcher
	open    bool
	seen    map[string]bool
	counts  map[string]int
	out     v1.TargetDiscovery
}

func (d *discovery) add(from v1.TargetDiscovery) {
	b := labels.NewBuilder(labels.EmptyLabels())
	for _, t := range from.ActiveTargets {
		if t == nil {
			continue
		}
		t.Labels = d.cluster.dress(b, t.Labels)
		if matches(t.Labels, d.bound) && d.first("active", t.ScrapePool, t.ScrapeURL, t.Labels) {
			d.out.ActiveTargets = append(d.out.ActiveTargets, t)
		}
	}
	for _, t := range from.DroppedTargets {
		if t != nil && matches(d.cluster.dress(b, t.DiscoveredLabels), d.bound) && d.first("dropped", t.ScrapePool, "", t.DiscoveredLabels) {
			d.out.DroppedTargets = append(d.out.DroppedTargets, t)
		}
	}
	if !d.open {
		return // counts are of targets that may not be seen too
	}
	for pool, n := range from.DroppedTargetCounts {
		d.counts[pool] = max(d.counts[pool], n)
	}
	d.out.DroppedTargetCounts = d.counts
}

// first tells whether no replica had the target before.
func (d *discovery) first(kind, pool, address string, set labels.Labels) bool {
	key := strings.Join([]string{kind, pool, address, set.String()}, "\xff")
	was := d.seen[key]
	d.seen[key] = true
	return !was
}

// scrapePools answers with the names of all scrape pools.
func (f *Federation) scrapePools(r *http.Request) (any, annotations.Annotations, error) {
	ctx := r.Context()
	pools := map[string]bool{}
	if len(bound(ctx)) > 0 { // pools with targets that may be seen
		found, s, err := f.targetsOf(ctx, url.Values{"state": {"active"}})
		if err != nil {
			return nil, nil, err
		}
		for _, t := range found.ActiveTargets {
			pools[t.ScrapePool] = true
		}
		return poolNames(pools), s.notes(), nil
	}
	s := f.survey(ctx)
	answers, err := each(ctx, s, everywhere(ctx), func(ctx context.Context, c *cluster) ([]v1.ScrapePoolsDiscovery, error) {
		return put[v1.ScrapePoolsDiscovery](ctx, s, c, question{"scrape_pools", nil})
	})
	if err != nil {
		return nil, nil, err
	}
	for _, one := range slices.Concat(answers...) {
		for _, pool := range one.ScrapePools {
			pools[pool] = true
		}
	}
	return poolNames(pools), s.notes(), nil
}

func poolNames(pools map[string]bool) *v1.ScrapePoolsDiscovery {
	names := slices.AppendSeq([]string{}, maps.Keys(pools))
	slices.Sort(names)
	return &v1.ScrapePoolsDiscovery{ScrapePools: names}
}

// targetMetadata is what a target says of a metric.
type targetMetadata struct {
	Target labels.Labels    `json:"target"`
	Metric string           `json:"metric,omitempty"`
	Type   model.MetricType `json:"type"`
	Help   string           `json:"help"`
	Unit   string           `json:"unit"`
}

// targetMetadata answers with what targets say of their metrics.
func (f *Federation) targetMetadata(r *http.Request) (any, annotations.Annotations, error) {
	limit, err := numberParam(r, "limit")
	if err != nil {
		return nil, nil, err
	}
	var ms []*labels.Matcher
	if match := r.FormValue("match_target"); match != "" {
		if ms, err = f.parser.ParseMetricSelector(match); err != nil {
			return nil, nil, invalidParam(err, "match_target")
		}
	}
	all, s, err := f.targetMetadataOf(r.Context(), ms, r.FormValue("metric"), limit)
	if err != nil {
		return nil, nil, err
	}
	if limit >= 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, s.notes(), nil
}

func (f *Federation) targetMetadataOf(ctx context.Context, ms []*labels.Matcher, metric string, limit int) ([]targetMetadata, *survey, error) {
	s := f.survey(ctx)
	ms = narrow(ctx, ms)
	answers, err := each(ctx, s, picks(ms), func(ctx context.Context, c *cluster) ([]targetMetadata, error) {
		form := url.Values{}
		if rest, _ := c.decide(ms); len(rest) > 0 {
			form.Set("match_target", targetSelector(rest))
		}
		if metric != "" {
			form.Set("metric", metric)
		}
		if limit >= 0 {
			form.Set("limit", strconv.Itoa(limit))
		}
		found, err := putList[targetMetadata](ctx, s, c, question{"targets/metadata", form})
		return c.distinctMetadata(slices.Concat(found...)), err
	})
	return append([]targetMetadata{}, slices.Concat(answers...)...), s, err
}

func (c *cluster) distinctMetadata(all []targetMetadata) []targetMetadata {
	b := labels.NewBuilder(labels.EmptyLabels())
	seen := map[string]bool{}
	out := all[:0]
	for _, one := range all {
		one.Target = c.dress(b, one.Target)
		key := strings.Join([]string{one.Target.String(), one.Metric, string(one.Type), one.Help, one.Unit}, "\xff")
		if !seen[key] {
			seen[key] = true
			out = append(out, one)
		}
	}
	return out
}

// metadata answers with what targets say of metrics, whichever target it is.
// A request that is bound sees what its own targets say.
func (f *Federation) metadata(r *http.Request) (any, annotations.Annotations, error) {
	limit, err := numberParam(r, "limit")
	if err != nil {
		return nil, nil, err
	}
	perMetric, err := numberParam(r, "limit_per_metric")
	if err != nil {
		return nil, nil, err
	}
	ctx := r.Context()
	s := f.survey(ctx)
	answers, err := each(ctx, s, everywhere(ctx), func(ctx context.Context, c *cluster) ([]map[string][]metadata.Metadata, error) {
		return c.metadata(ctx, s, r.FormValue("metric"))
	})
	if err != nil {
		return nil, nil, err
	}
	return mergeMetadata(slices.Concat(answers...), limit, perMetric), s.notes(), nil
}

func (c *cluster) metadata(ctx context.Context, s *survey, metric string) ([]map[string][]metadata.Metadata, error) {
	form := url.Values{}
	if metric != "" {
		form.Set("metric", metric)
	}
	if c.open(ctx) {
		return put[map[string][]metadata.Metadata](ctx, s, c, question{"metadata", form})
	}
	rest, _ := c.decide(bound(ctx))
	form.Set("match_target", targetSelector(rest))
	answers, err := putList[targetMetadata](ctx, s, c, question{"targets/metadata", form})
	if err != nil {
		return nil, err
	}
	own := map[string][]metadata.Metadata{}
	for _, one := range slices.Concat(answers...) {
		name := cmp.Or(one.Metric, metric)
		own[name] = append(own[name], metadata.Metadata{Type: one.Type, Help: one.Help, Unit: one.Unit})
	}
	return []map[string][]metadata.Metadata{own}, nil
}

// mergeMetadata returns what is said of each metric, once and sorted. A
// negative limit, and no positive one for each metric, is none.
func mergeMetadata(all []map[string][]metadata.Metadata, limit, perMetric int) map[string][]metadata.Metadata {
	merged := map[string][]metadata.Metadata{}
	for _, one := range all {
		for name, said := range one {
			merged[name] = append(merged[name], said...)
		}
	}
	out := map[string][]metadata.Metadata{}
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		if limit >= 0 && len(out) >= limit {
			break
		}
		said := merged[name]
		slices.SortFunc(said, func(a, b metadata.Metadata) int {
			return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Help, b.Help), cmp.Compare(a.Unit, b.Unit))
		})
		said = slices.Compact(said)
		if perMetric > 0 && len(said) > perMetric {
			said = said[:perMetric]
		}
		out[name] = said
	}
	return out
}

// numberParam reads a parameter that limits; -1 is none.
func numberParam(r *http.Request, name string) (int, error) {
	text := r.FormValue(name)
	if text == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, badData(errors.New(name + " must be a number"))
	}
	return n, nil
}

// targetSelector writes matchers as a selector of targets, of which no label
// is the name of a metric.
func targetSelector(ms []*labels.Matcher) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = m.String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}
