package slotest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Test is one test as it is run.
type Test struct {
	Name     string
	File     string
	Line     int      // of metadata.name
	SLOFiles []string // as the test names them; none: its own file
	Options  rules.Options

	begin   time.Time
	until   time.Duration
	series  []series
	traffic []traffic
	expect  []expectation
	alerts  []wantedAlert
	exact   bool // alerts are all that fire
	quiet   []quiet
	file    *yamldoc.File
	doc     *yaml.Node
}

// place is where in the file something is expected.
type place struct {
	node  *yaml.Node
	field string
}

type expectation struct {
	place
	at     time.Duration
	slo    string
	labels map[string]string
	ratios []figure // error ratios, by window
	burns  []figure
	budget *float64
	within float64 // share
}

// figure is a number that is expected of a window.
type figure struct {
	window string
	want   float64
}

type wantedAlert struct {
	place
	slo, name, severity, tier string
	labels                    map[string]string
	from                      time.Duration
	to                        *time.Duration
	never                     bool // it ends
	within                    time.Duration
}

type quiet struct {
	place
	slo        string
	severities []string
	from, to   time.Duration
}

// Limits of one test.
const (
	maxUntil   = 100 * 24 * time.Hour
	maxSamples = 4_000_000
	maxItems   = 1000 // of each list
)

// Parse reads the tests in a file's content; documents of other kinds are
// passed over. The error is a diag.Problems with every problem of the tests.
func Parse(name string, content []byte) ([]Test, error) {
	f, err := yamldoc.Parse(name, content)
	if err != nil {
		return nil, err
	}
	var tests []Test
	var problems diag.Problems
	for _, doc := range f.Docs {
		if kind := yamldoc.Lookup(doc, "kind"); kind == doc || kind.Value != Kind {
			continue
		}
		p := parser{f: f, doc: doc}
		tests = append(tests, p.test())
		problems = append(problems, p.problems...)
	}
	return tests, problems.Err()
}

// parser makes a test of a document.
type parser struct {
	f        *yamldoc.File
	doc      *yaml.Node
	in       document
	out      Test
	problems diag.Problems
	said     map[string]bool // the fields of the problems: one each
}

func (p *parser) add(field, message, hint string) {
	if p.said[field] {
		return
	}
	p.said[field] = true
	p.problems = append(p.problems, p.f.At(yamldoc.Lookup(p.doc, field), field, message, hint))
}

func (p *parser) place(field string) place {
	return place{node: yamldoc.Lookup(p.doc, field), field: field}
}

func (p *parser) test() Test {
	p.problems, p.said = p.f.Decode(p.doc, &p.in), map[string]bool{}
	for _, problem := range p.problems {
		p.said[problem.Field] = true
	}
	p.out = Test{Name: p.in.Metadata.Name, File: p.f.Name, Line: yamldoc.Lookup(p.doc, "metadata.name").Line, SLOFiles: p.in.Spec.SLOs, file: p.f, doc: p.doc}
	if p.in.APIVersion != slo.APIVersion {
		p.add("apiVersion", fmt.Sprintf("apiVersion %q cannot be read", clip(p.in.APIVersion)), "want "+slo.APIVersion)
	}
	if p.out.Name == "" {
		p.add("metadata.name", "missing", "what the test shows, such as an-outage-pages")
	}
	s := p.in.Spec
	p.times(s)
	for field, n := range map[string]int{"series": len(s.Series), "traffic": len(s.Traffic), "expect": len(s.Expect), "quiet": len(s.Quiet)} {
		if n > maxItems {
			p.add("spec."+field, fmt.Sprintf("more than %d", maxItems), "")
			return p.out
		}
	}
	p.expectations(s)
	p.wantedAlerts(s)
	p.quiets(s)
	p.end(s)
	p.input(s)
	if len(s.Series)+len(s.Traffic) == 0 {
		p.add("spec.series", "missing", "the series that the SLOs count, or spec.traffic")
	}
	if len(s.Expect)+len(s.Quiet) == 0 && s.Alerts == nil {
		p.add("spec.expect", "missing", "what is expected: expect, alerts or quiet")
	}
	return p.out
}

func (p *parser) times(s spec) {
	p.out.begin = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	if s.Begin != "" {
		at, err := time.Parse(time.RFC3339, s.Begin)
		if err != nil || at.Year() < 1990 || at.Year() > 2100 {
			p.add("spec.begin", fmt.Sprintf("%q is no time", clip(s.Begin)), "such as 2026-03-02T00:00:00Z")
			at = p.out.begin
		}
		p.out.begin = at
	}
	p.out.Options.Interval = p.length("spec.interval", s.Interval, 30*time.Second, 5*time.Second, time.Minute)
	p.out.Options.ScrapeInterval = p.length("spec.scrape_interval", s.ScrapeInterval, 15*time.Second, time.Second, time.Minute)
	if off := p.out.begin.UnixMilli() % p.out.Options.Interval.Milliseconds(); off != 0 {
		p.add("spec.begin", "is no multiple of spec.interval", "begin at a full minute")
	}
}

// length reads a length of time within bounds.
func (p *parser) length(field, text string, otherwise, least, most time.Duration) time.Duration {
	if text == "" {
		return otherwise
	}
	d, err := model.ParseDuration(text)
	switch {
	case err != nil:
		p.add(field, fmt.Sprintf("%q is no length of time", clip(text)), "such as 30s or 2h10m")
	case time.Duration(d) < least || time.Duration(d) > most:
		p.add(field, fmt.Sprintf("%s is not between %s and %s", d, model.Duration(least), model.Duration(most)), "")
	default:
		return time.Duration(d)
	}
	return otherwise
}

// at reads a time since the begin.
func (p *parser) at(field, text string) time.Duration {
	if text == "" {
		p.add(field, "missing", "time since the begin, such as 2h10m")
		return 0
	}
	return p.length(field, text, 0, 0, maxUntil)
}

// share reads a share: 0.05 or 5%.
func (p *parser) share(field string, text slo.Number, otherwise float64) float64 {
	if text == "" {
		return otherwise
	}
	bare, percent := strings.CutSuffix(string(text), "%")
	v, err := strconv.ParseFloat(bare, 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		p.add(field, fmt.Sprintf("%q is no number", clip(string(text))), "such as 0.05 or 5%")
		return otherwise
	}
	if percent {
		v /= 100
	}
	return v
}

func (p *parser) expectations(s spec) {
	for i, e := range s.Expect {
		field := fmt.Sprintf("spec.expect.%d", i)
		out := expectation{place: p.place(field), at: p.at(field+".at", e.At), slo: e.SLO, labels: e.Labels, within: p.share(field+".within", e.Within, 0.02)}
		out.ratios = p.figures(field+".error_ratio", e.ErrorRatio)
		out.burns = p.figures(field+".burn_rate", e.BurnRate)
		if e.BudgetLeft != "" {
			left := p.share(field+".budget_left", e.BudgetLeft, 0)
			out.budget = &left
		}
		if len(e.ErrorRatio)+len(e.BurnRate) == 0 && e.BudgetLeft == "" {
			p.add(field, "expects nothing", "error_ratio, burn_rate or budget_left")
		}
		if out.within < 0 {
			p.add(field+".within", "is below 0", "such as 2%")
		}
		p.out.expect = append(p.out.expect, out)
	}
}

// figures reads numbers by window, in the order of their windows.
func (p *parser) figures(field string, in map[string]slo.Number) (out []figure) {
	for window, text := range in {
		at := field + "." + window
		d := p.length(at, window, 0, time.Minute, 400*24*time.Hour)
		if want := p.share(at, text, 0); d > 0 {
			out = append(out, figure{window: slo.FormatDuration(d), want: want})
		}
	}
	slices.SortFunc(out, func(a, b figure) int { return strings.Compare(a.window, b.window) })
	return out
}

func (p *parser) wantedAlerts(s spec) {
	if s.Alerts == nil {
		return
	}
	p.out.exact = true
	for i, a := range *s.Alerts {
		if i == maxItems {
			p.add("spec.alerts", fmt.Sprintf("more than %d", maxItems), "")
			return
		}
		field := fmt.Sprintf("spec.alerts.%d", i)
		out := wantedAlert{
			place: p.place(field), slo: a.SLO, labels: a.Labels, name: a.Alert, severity: a.Severity, tier: a.Tier,
			from: p.at(field+".from", a.From), never: a.To == "never", within: p.length(field+".within", a.Within, time.Minute, 0, maxUntil),
		}
		if a.Alert == "" {
			out.name = "SLOErrorBudgetBurn"
		}
		if a.To != "" && !out.never {
			to := p.at(field+".to", a.To)
			out.to = &to
		}
		p.out.alerts = append(p.out.alerts, out)
	}
}

func (p *parser) quiets(s spec) {
	for i, q := range s.Quiet {
		field := fmt.Sprintf("spec.quiet.%d", i)
		out := quiet{place: p.place(field), slo: q.SLO, severities: q.Severities, from: p.at(field+".from", q.From), to: p.at(field+".to", q.To)}
		if out.to <= out.from {
			p.add(field+".to", "is not after from", "")
		}
		p.out.quiet = append(p.out.quiet, out)
	}
}

// end finds when the test ends: late enough for all that it expects.
func (p *parser) end(s spec) {
	var last time.Duration
	for _, e := range p.out.expect {
		last = max(last, e.at)
	}
	for _, a := range p.out.alerts {
		last = max(last, a.from+a.within)
		if a.to != nil {
			last = max(last, *a.to+a.within)
		}
	}
	for _, q := range p.out.quiet {
		last = max(last, q.to)
	}
	p.out.until = last
	if s.Until != "" {
		p.out.until = p.at("spec.until", s.Until)
		if p.out.until < last {
			p.add("spec.until", fmt.Sprintf("the test ends before %s, of which something is expected", model.Duration(last)), "")
		}
	}
	if p.out.until < time.Minute {
		p.add("spec.until", "the test takes less than a minute", "until when it goes on, such as 2h")
	}
	p.out.until = min(p.out.until, maxUntil)
}

// clip shortens a text of the file for a message.
func clip(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}
