package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// counters are a total and what failed or was good, as counters of raw
// series.
type counters struct {
	own       identified
	all       *parser.VectorSelector
	bad, good *parser.VectorSelector // one is nil
	within    bool                   // each series of bad is one of all
	burst     time.Duration
	scrape    time.Duration // how often they are scraped
	born      bool          // series of bad, or good, may be born above zero
}

func (c *compiler) counters(e slo.Events, own identified) (counters, error) {
	out := counters{own: own, burst: c.burst, scrape: c.o.ScrapeInterval, born: true}
	var err error
	if out.all, err = selector(e.Total); err != nil {
		return out, fmt.Errorf("total: %w", err)
	}
	if e.Good != "" {
		if out.good, err = selector(e.Good); err != nil {
			return out, fmt.Errorf("good: %w", err)
		}
		// Where good events are part of the total, a series that is born
		// above zero lacks the same in both.
		out.born = !contains(out.all, out.good)
		return out, nil
	}
	if out.bad, err = selector(e.Errors); err != nil {
		return out, fmt.Errorf("errors: %w", err)
	}
	out.within = contains(out.all, out.bad)
	return out, nil
}

// selector reads a selector.
func selector(text string) (*parser.VectorSelector, error) {
	if vs, ok := plainSelector(text); ok {
		return vs, nil
	}
	expr, err := newParser().ParseExpr(text)
	if err != nil {
		return nil, err
	}
	vs, ok := expr.(*parser.VectorSelector)
	if !ok {
		return nil, fmt.Errorf("%q is not a selector", text)
	}
	return vs, nil
}

// contains says whether a selector has every matcher of another one, and so
// selects nothing that the other does not.
func contains(all, part *parser.VectorSelector) bool {
	for _, m := range all.LabelMatchers {
		if !slices.ContainsFunc(part.LabelMatchers, func(p *labels.Matcher) bool { return alike(m, p) }) {
			return false
		}
	}
	return true
}

// rate returns the events a second of a counter over d, by group.
func (n counters) rate(counter *parser.VectorSelector, d time.Duration) parser.Expr {
	return sumBy(n.own.groups, call("rate", over(counter, d)))
}

// total is the rate of all events. Where errors are part of it, it is no less
// than they are: a series that is born above zero is not in its rate yet.
func (n counters) total(d time.Duration) parser.Expr {
	if !n.within {
		return n.rate(n.all, d)
	}
	failed := above(n.own.ownSeries(metric(errorsSide, d)), num(0))
	return maxBy(n.own.groups, either(n.rate(n.all, d), failed))
}

// failed returns the errors a second over d. Where there is no series of
// errors yet there are none; where good events are counted, errors are what
// is missing to the total. That may be less than none where they are not a
// part of it: counters that are scraped at different moments are now ahead of
// each other and now behind, which evens out only with its sign; and if there
// are more good events than events, that is to be seen.
func (n counters) failed(d time.Duration, total parser.Expr) parser.Expr {
	if n.born {
		return n.outOf(total, func(counter *parser.VectorSelector) parser.Expr { return n.rateFromBirth(counter, d) })
	}
	return n.pastFailed(d, total)
}

func (n counters) past(d time.Duration) parser.Expr { return n.rate(n.all, d) }

func (n counters) pastFailed(d time.Duration, total parser.Expr) parser.Expr {
	return n.outOf(total, func(counter *parser.VectorSelector) parser.Expr { return n.rate(counter, d) })
}

func (n counters) outOf(total parser.Expr, rate func(*parser.VectorSelector) parser.Expr) parser.Expr {
	none := mul(num(0), total)
	if n.good == nil {
		return either(rate(n.bad), none)
	}
	failed := sub(total, either(rate(n.good), none))
	if n.born {
		return failed
	}
	return call("clamp_min", failed, num(0))
}

func (n counters) share(d time.Duration) parser.Expr {
	busy := above(n.rate(n.all, d), num(0))
	if n.good == nil {
		return div(n.rate(n.bad, d), busy)
	}
	return missing(div(n.rate(n.good, d), busy), busy)
}

// missing returns the share of failed events from that of good ones: all of
// them, where there is none of good ones.
func missing(good, busy parser.Expr) parser.Expr {
	return either(sub(num(1), good), add(num(1), mul(num(0), busy)))
}

func (n counters) seen() parser.Expr { return aggregate(parser.GROUP, n.own.groups, n.all) }

// rateFromBirth is the rate of a counter whose series may appear with a value
// above zero, as those of errors do that nothing counts before the first one.
// Their first value are events, those since the scrape before. So a series
// that was not there before counts with its whole value, if its sibling was: a
// series of the total that has the same labels, but for those by which the
// selectors differ. A target that is found late does not bring what it counted
// before, nor does a series that goes on under other labels.
func (n counters) rateFromBirth(counter *parser.VectorSelector, d time.Duration) parser.Expr {
	since, weight := d-n.scrape, d
	if d == n.burst {
		weight = since // so many evaluations see a birth
	}
	born := unless(counter, ago(counter, since))
	siblings := both(born, ago(n.all, since)).(*parser.BinaryExpr)
	siblings.VectorMatching.MatchingLabels = differing(counter, n.all)
	return sumBy(n.own.groups, either(div(siblings, num(weight.Seconds())), call("rate", over(counter, d))))
}

// differing returns the labels that two selectors do not match alike, sorted.
func differing(a, b *parser.VectorSelector) []string {
	var names []string
	for _, pair := range [][2]*parser.VectorSelector{{a, b}, {b, a}} {
		for _, m := range pair[0].LabelMatchers {
			if m.Name != model.MetricNameLabel && !slices.ContainsFunc(pair[1].LabelMatchers, func(o *labels.Matcher) bool { return alike(m, o) }) {
				names = append(names, m.Name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func alike(a, b *labels.Matcher) bool {
	return a.Name == b.Name && a.Type == b.Type && a.Value == b.Value
}

// with returns a selector with one more matcher.
func with(vs *parser.VectorSelector, m *labels.Matcher) *parser.VectorSelector {
	out := *vs
	out.LabelMatchers = append(slices.Clone(vs.LabelMatchers), m)
	return &out
}

// latency counts what a histogram saw.
func (c *compiler) latency(l slo.Latency, own identified) (indicator, error) {
	histogram, err := selector(l.Histogram)
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	if l.Native {
		return native{own: own, histogram: histogram, threshold: exact(l.Threshold.Rat())}, nil
	}
	bucket := named(histogram, "_bucket")
	return counters{
		own: own, burst: c.burst, scrape: c.o.ScrapeInterval,
		all:  named(histogram, "_count"),
		good: with(bucket, bounds(l.Threshold)),
	}, nil
}

// named returns the selector of another metric, whose name ends with suffix.
func named(vs *parser.VectorSelector, suffix string) *parser.VectorSelector {
	name := vs.Name
	out := *vs
	out.LabelMatchers = nil
	for _, m := range vs.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			name = m.Value
			continue
		}
		out.LabelMatchers = append(out.LabelMatchers, m)
	}
	out.Name = name + suffix
	out.LabelMatchers = append(out.LabelMatchers, eq(model.MetricNameLabel, out.Name))
	return &out
}

// bounds matches the label of a bucket's upper bound in each form that is
// written: as the program exposes it, such as 1, 1.0 or 1e+06, and as
// Prometheus 3 writes it, such as 1.0.
func bounds(threshold slo.Decimal) *labels.Matcher {
	value := exact(threshold.Rat())
	forms := []string{threshold.String(), strconv.FormatFloat(value, 'f', -1, 64), strconv.FormatFloat(value, 'g', -1, 64)}
	for _, form := range slices.Clone(forms) {
		if !strings.ContainsAny(form, ".e") {
			forms = append(forms, form+".0")
		}
	}
	for i, form := range forms {
		forms[i] = regexp.QuoteMeta(form)
	}
	slices.Sort(forms)
	return labels.MustNewMatcher(labels.MatchRegexp, model.BucketLabel, strings.Join(slices.Compact(forms), "|"))
}

// native counts what a native histogram saw.
type native struct {
	own       identified
	histogram *parser.VectorSelector
	threshold float64
}

func (n native) rate(d time.Duration) parser.Expr {
	return sumBy(n.own.groups, call("rate", over(n.histogram, d)))
}

func (n native) total(d time.Duration) parser.Expr { return call("histogram_count", n.rate(d)) }

// failed is the share that was too slow of the total, where there is any:
// that of nothing is not a number.
func (n native) failed(d time.Duration, total parser.Expr) parser.Expr {
	slow := sub(num(1), n.fast(d))
	return either(mul(slow, above(total, num(0))), mul(num(0), total))
}

// fast returns the share of what was within the threshold.
func (n native) fast(d time.Duration) parser.Expr {
	return call("histogram_fraction", num(negativeInfinity()), num(n.threshold), n.rate(d))
}

func (n native) share(d time.Duration) parser.Expr { return finite(sub(num(1), n.fast(d))) }

func (n native) seen() parser.Expr { return aggregate(parser.GROUP, n.own.groups, n.histogram) }

func (n native) past(d time.Duration) parser.Expr { return n.total(d) }
func (n native) pastFailed(d time.Duration, total parser.Expr) parser.Expr {
	return n.failed(d, total)
}
