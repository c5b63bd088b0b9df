// Package rules compiles SLOs to Prometheus recording and alerting rules. It
// neither reads SLO files nor evaluates rules. What every rule computes, and
// why, is in docs/rules.md.
package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// Options say how the rules will be evaluated.
type Options struct {
	Interval       time.Duration // of evaluation: 30s by default, divides 5m, 5s to 1m
	ScrapeInterval time.Duration // of the counters: 15s by default, 1s to 1m
	// CatchUp adds rules that read raw counters over whole windows, for SLOs
	// whose recorded history does not fill them yet. They cost what rules
	// without recorded windows cost.
	CatchUp bool
}

func (o *Options) defaults() error {
	o.Interval = cmp.Or(o.Interval, 30*time.Second)
	o.ScrapeInterval = cmp.Or(o.ScrapeInterval, 15*time.Second)
	switch {
	case o.Interval < 5*time.Second || o.Interval > time.Minute:
		return fmt.Errorf("interval %s is not between 5s and 1m", o.Interval)
	case o.Interval%time.Second != 0 || edge%o.Interval != 0:
		return fmt.Errorf("interval %s does not divide 5m, as 10s, 15s, 20s, 30s and 1m do", o.Interval)
	case o.ScrapeInterval < time.Second || o.ScrapeInterval > time.Minute:
		return fmt.Errorf("scrape interval %s is not between 1s and 1m", o.ScrapeInterval)
	case o.ScrapeInterval%time.Millisecond != 0:
		return fmt.Errorf("scrape interval %s is not a whole number of milliseconds", o.ScrapeInterval)
	}
	return nil
}

// Set is rules as files of groups, all in an order in which each rule comes
// after those that it reads, but where a series reads its own past.
type Set struct {
	Files []File
}

// File is one rule file.
type File struct {
	Name   string // such as midwatch-windows.yaml
	Groups []rulefmt.RuleGroup
}

// Groups returns the groups of all files, in their order.
func (s Set) Groups() []rulefmt.RuleGroup {
	var out []rulefmt.RuleGroup
	for _, f := range s.Files {
		out = append(out, f.Groups...)
	}
	return out
}

// Compile returns the rules for SLOs: for each its event series and its
// parameters, and a number of rules that is the same however many SLOs there
// are, but for one group for each distinct window. It refuses options out of
// range and SLOs that source.Load would not return.
func Compile(slos []slo.SLO, o Options) (Set, error) {
	var set Set
	err := Each(slos, o, func(f File) error {
		set.Files = append(set.Files, f)
		return nil
	})
	if err != nil {
		return Set{}, err
	}
	return set, nil
}

// Each compiles as Compile does and hands over each file as soon as it is
// complete, in the order of a Set, so that not all have to be held at once.
// When something is wrong the error comes at the end: what was handed over
// before is then to be thrown away. An error of take is returned at once.
func Each(slos []slo.SLO, o Options, take func(File) error) error {
	if err := o.defaults(); err != nil {
		return fmt.Errorf("compile: %w", err)
	}
	if !slices.IsSortedFunc(slos, byID) {
		slos = slices.Clone(slos)
		slices.SortStableFunc(slos, byID)
	}
	c := compiler{o: o, burst: burst(o)}
	c.survey(slos)
	var errs []error
	for i := range slos {
		s := &slos[i]
		if i > 0 && byID(slos[i-1], *s) == 0 {
			errs = append(errs, fmt.Errorf("compile %s: given twice", s.ID()))
			continue
		}
		if i == 0 || slos[i-1].Service != s.Service {
			if err := c.handOver(take); err != nil {
				return err
			}
			c.share(ofOneService(slos[i:]))
		}
		if err := c.slo(*s); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, c.derived(slos))
	c.fixed(slos)
	errs = append(errs, c.errs...)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return c.handOver(take)
}

// ofOneService returns the first SLOs, as long as they are of one service.
func ofOneService(slos []slo.SLO) []slo.SLO {
	end := 1
	for end < len(slos) && slos[end].Service == slos[0].Service {
		end++
	}
	return slos[:end]
}

// handOver hands over the files that are complete.
func (c *compiler) handOver(take func(File) error) error {
	files := c.files
	c.files = nil
	for _, f := range files {
		if err := take(f); err != nil {
			return err
		}
	}
	return nil
}

func byID(a, b slo.SLO) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
}

// compiler gathers files and what went wrong.
type compiler struct {
	o      Options
	burst  time.Duration // see burst
	writer writer
	seen   map[uint64]bool // shapes of expressions that were parsed again
	memo   memo
	alike  map[string]*peers // by the names of SLOs of the service at hand
	files  []File
	errs   []error

	scope        scope
	slos         int // how many there are
	carried      carried
	recorded     []window               // beyond event series, shortest first
	fastWindows  map[time.Duration]bool // recorded at every evaluation
	groupSets    [][]string             // of the fleet's SLOs
	calendarSLOs bool                   // some budget's window is a calendar's
	excludes     bool                   // some SLO has exclusions
	ownCaution   bool                   // some SLO wants another certainty than most
	holds        bool                   // some tier must hold for a time
}

// file returns the file of that name, the last one or a new one.
func (c *compiler) file(name string) *File {
	if n := len(c.files); n > 0 && c.files[n-1].Name == name {
		return &c.files[n-1]
	}
	c.files = append(c.files, File{Name: name})
	return &c.files[len(c.files)-1]
}

// group returns a group with the rules that are not nil.
func group(name string, every time.Duration, rules ...rulefmt.Rule) rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: prefix + name, Interval: model.Duration(every), Rules: rules}
}

// prefix begins the name of every group and file.
const prefix = "midwatch-"

// record returns a recording rule.
func (c *compiler) record(name string, e parser.Expr, labels map[string]string) rulefmt.Rule {
	return rulefmt.Rule{Record: name, Expr: c.print(name, e), Labels: labels}
}

func (c *compiler) print(name string, e parser.Expr) string {
	text, err := c.text(e)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("compile %s: %w", name, err))
	}
	return text
}

// slow is the interval of what need not follow at once. It is below the five
// minutes that Prometheus looks back for an instant, with room for a missed
// evaluation.
const slow = 2 * time.Minute
