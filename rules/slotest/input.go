package slotest

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	promparser "github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/rules/replay"
	"github.com/midwatch-slo/midwatch/slo"
)

// series is a series in promtool's notation, parsed.
type series struct {
	labels labels.Labels
	values []promparser.SequenceValue
	every  time.Duration
}

// traffic is a rate of events, of which a share fails.
type traffic struct {
	errors, other labels.Labels
	total         bool // other counts all events, not those that do not fail
	from, to      time.Duration
	rate, ratio   float64
	changes       []change
}

type change struct {
	from, to    time.Duration
	rate, ratio float64
	gone        bool
}

// repeated finds how many values a part of promtool's notation stands for.
var repeated = regexp.MustCompile(`x\s*([0-9]+)`)

// input reads the series, and counts their samples before there are any.
func (p *parser) input(s spec) {
	samples := 0
	for i, in := range s.Series {
		field := fmt.Sprintf("spec.series.%d", i)
		samples += len(strings.Fields(in.Values))
		for _, m := range repeated.FindAllStringSubmatch(in.Values, -1) {
			n, err := strconv.Atoi(m[1])
			if err != nil || n > maxSamples {
				n = maxSamples
			}
			samples += n
		}
		if samples > maxSamples {
			p.add(field+".values", fmt.Sprintf("the test has more than %d samples", maxSamples), "")
			return
		}
		p.oneSeries(field, in)
	}
	for i, in := range s.Traffic {
		field := fmt.Sprintf("spec.traffic.%d", i)
		t := p.oneTraffic(field, in)
		samples += 2 * int((t.to-t.from)/p.out.Options.ScrapeInterval)
		if samples > maxSamples {
			p.add(field, fmt.Sprintf("the test has more than %d samples", maxSamples), "a longer scrape_interval, or a shorter test")
			return
		}
		p.out.traffic = append(p.out.traffic, t)
	}
}

func newParser() promparser.Parser { return promparser.NewParser(promparser.Options{}) }

func (p *parser) oneSeries(field string, in seriesText) {
	l := p.metric(field+".series", in.Series)
	every := p.length(field+".interval", in.Interval, p.out.Options.ScrapeInterval, time.Second, time.Hour)
	_, values, err := newParser().ParseSeriesDesc("x " + in.Values)
	if err != nil || in.Values == "" {
		p.add(field+".values", "not in promtool's notation: "+reason(err), "such as 0+10x100: from 0, 100 times 10 more")
		return
	}
	p.out.series = append(p.out.series, series{labels: l, values: values, every: every})
}

func reason(err error) string {
	if err == nil {
		return "there is no value"
	}
	return clip(err.Error())
}

// metric reads the name and the labels of a series.
func (p *parser) metric(field, text string) labels.Labels {
	if text == "" {
		p.add(field, "missing", `a series, such as requests_total{app="shop"}`)
		return labels.EmptyLabels()
	}
	l, err := newParser().ParseMetric(text)
	if err != nil || l.Get(model.MetricNameLabel) == "" {
		p.add(field, fmt.Sprintf("%q is no series with a name", clip(text)), `such as requests_total{app="shop"}`)
	}
	return l
}

var perTime = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)/([smhd])$`)

// rate reads events a second, such as 100/s or 5/m.
func (p *parser) rate(field string, text slo.Number, otherwise float64) float64 {
	if text == "" {
		return otherwise
	}
	m := perTime.FindStringSubmatch(string(text))
	if m == nil {
		p.add(field, fmt.Sprintf("%q is no rate", clip(string(text))), "events a second, minute, hour or day, such as 100/s or 5/m")
		return otherwise
	}
	v, _ := strconv.ParseFloat(m[1], 64) // digits
	return v / map[string]float64{"s": 1, "m": 60, "h": 3600, "d": 86400}[m[2]]
}

func (p *parser) oneTraffic(field string, in trafficText) traffic {
	t := traffic{rate: p.rate(field+".rate", in.Rate, 0), ratio: p.ratio(field+".error_ratio", in.ErrorRatio, 0), to: p.out.until, total: in.Total != ""}
	if in.Rate == "" {
		p.add(field+".rate", "missing", "such as 100/s")
	}
	switch {
	case (in.Good == "") == (in.Total == ""):
		p.add(field, "want one of good and total", "good: the series of the events that do not fail; total: that of all")
	case in.Total != "":
		t.other = p.metric(field+".total", in.Total)
	default:
		t.other = p.metric(field+".good", in.Good)
	}
	t.errors = p.metric(field+".errors", in.Errors)
	if in.From != "" {
		t.from = p.at(field+".from", in.From)
	}
	if in.To != "" {
		t.to = p.at(field+".to", in.To)
	}
	if t.to <= t.from {
		p.add(field+".to", "is not after from", "")
	}
	if len(in.Changes) > maxItems {
		p.add(field+".changes", fmt.Sprintf("more than %d", maxItems), "")
		return t
	}
	for i, c := range in.Changes {
		at := fmt.Sprintf("%s.changes.%d", field, i)
		out := change{from: p.at(at+".from", c.From), to: t.to, rate: p.rate(at+".rate", c.Rate, t.rate), ratio: p.ratio(at+".error_ratio", c.ErrorRatio, t.ratio), gone: c.Gone}
		if c.To != "" {
			out.to = p.at(at+".to", c.To)
		}
		if out.to <= out.from {
			p.add(at+".to", "is not after from", "")
		}
		t.changes = append(t.changes, out)
	}
	return t
}

// ratio reads a share of events.
func (p *parser) ratio(field string, text slo.Number, otherwise float64) float64 {
	v := p.share(field, text, otherwise)
	if v < 0 || v > 1 {
		p.add(field, fmt.Sprintf("%s is not between 0 and 100%%", clip(string(text))), "")
		return otherwise
	}
	return v
}

// memory returns the series of a test.
func (t *Test) memory() (*replay.Memory, error) {
	m := &replay.Memory{}
	for _, s := range t.series {
		if err := s.fill(m, t.begin); err != nil {
			return nil, err
		}
	}
	for _, tr := range t.traffic {
		if err := tr.fill(m, t.begin, t.Options.ScrapeInterval); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (s series) fill(m *replay.Memory, begin time.Time) error {
	to := m.Series(s.labels)
	for i, v := range s.values {
		if v.Omitted {
			continue
		}
		if err := to.Add(begin.Add(time.Duration(i)*s.every).UnixMilli(), v.Value, v.Histogram); err != nil {
			return err
		}
	}
	return nil
}

// fill scrapes two counters.
func (t traffic) fill(m *replay.Memory, begin time.Time, every time.Duration) error {
	failures, others := m.Series(t.errors), m.Series(t.other)
	all, failed := 0.0, 0.0
	for at := t.from; at <= t.to; at += every {
		rate, ratio, gone := t.between(at-every, at)
		if at > t.from {
			all += rate * every.Seconds()
			failed += rate * every.Seconds() * ratio
		}
		if gone {
			continue
		}
		ms := begin.Add(at).UnixMilli()
		other := all
		if !t.total {
			other = all - failed
		}
		if err := others.Add(ms, other, nil); err != nil {
			return err
		}
		if err := failures.Add(ms, failed, nil); err != nil {
			return err
		}
	}
	return nil
}

// between returns the mean rate and share of errors of a time; of several
// changes the last one counts. Gone is what is gone at its end.
func (t traffic) between(from, to time.Duration) (rate, ratio float64, gone bool) {
	const parts = 15 // of a scrape interval: seconds, where that is usual
	failed := 0.0
	for i := range parts {
		middle := from + (to-from)*time.Duration(2*i+1)/(2*parts)
		r, e, _ := t.moment(middle)
		rate, failed = rate+r/parts, failed+r*e/parts
	}
	_, _, gone = t.moment(to)
	if rate > 0 {
		ratio = failed / rate
	}
	return rate, min(1, math.Max(0, ratio)), gone
}

func (t traffic) moment(at time.Duration) (rate, ratio float64, gone bool) {
	rate, ratio = t.rate, t.ratio
	for _, c := range t.changes {
		if at >= c.from && at < c.to {
			rate, ratio, gone = c.rate, c.ratio, c.gone
		}
	}
	if gone {
		rate = 0
	}
	return rate, ratio, gone
}
