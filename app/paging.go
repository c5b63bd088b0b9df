package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/ingest"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/slo"
)

// Incidents says how alerts become incidents, and how loud those may be.
type Incidents struct {
	ReopenWithin       *model.Duration `yaml:"reopen_within"`       // how soon after its end an incident opens again instead of another; default 10m, 0s never
	PagesPerMinute     int             `yaml:"pages_per_minute"`    // to one person, what is more is bundled; default 10, below 0 bundles nothing
	Inhibit            []Inhibition    `yaml:"inhibit"`             // besides the default ones
	DefaultInhibitions *bool           `yaml:"default_inhibitions"` // fleet over cluster, fast tier over slow, a silent cluster over its symptoms; default true
}

// Inhibition keeps alerts that match the target's matchers from paging while
// one fires that matches the source's, where both have the same values of the
// labels in Equal: as Alertmanager's inhibit rules do.
type Inhibition struct {
	Name   string   `yaml:"name"`
	Source []string `yaml:"source"`
	Target []string `yaml:"target"`
	Equal  []string `yaml:"equal"`
}

// Watchdog says what must keep coming from each cluster.
type Watchdog struct {
	Matchers []string       `yaml:"matchers"` // of the alert that always fires; default its name is Watchdog or MidwatchWatchdog
	Timeout  model.Duration `yaml:"timeout"`  // after which a cluster that is not heard cannot alert; default 5m
	Disabled bool           `yaml:"disabled"`
}

// validatePaging notes what is wrong with what is said of incidents.
func (c *Config) validatePaging(at func(field, message, hint string)) {
	for i, r := range c.Incidents.Inhibit {
		for name, text := range map[string][]string{"source": r.Source, "target": r.Target} {
			field := fmt.Sprintf("incidents.inhibit.%d.%s", i, name)
			if _, err := silence.ParseMatchers(text); err != nil {
				at(field, err.Error(), `such as ['alertname="NodeDown"']`)
			} else if len(text) == 0 {
				at(field, "missing", `a list of matchers, such as ['alertname="NodeDown"']`)
			}
		}
	}
	if _, err := silence.ParseMatchers(c.Watchdog.Matchers); err != nil {
		at("watchdog.matchers", err.Error(), `such as ['alertname="Watchdog"']`)
	}
	if t := time.Duration(c.Watchdog.Timeout); t != 0 && t < time.Minute {
		at("watchdog.timeout", fmt.Sprintf("%s is less than a minute", t), "a Prometheus sends its alerts again every minute or so")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Ingest.Severities)) {
		if _, err := alert.ParseLevel(c.Ingest.Severities[name]); err != nil {
			at("ingest.severities."+name, err.Error(), "")
		}
	}
	if c.Report != nil {
		c.Report.validate(at)
	}
}

// tiersOf returns the tiers that SLOs alert by, fastest first.
func tiersOf(slos []slo.SLO) (names []string) {
	lengths := map[string]time.Duration{}
	for _, s := range slos {
		for _, t := range s.Alerts.Tiers {
			lengths[t.Name] = t.Long
		}
	}
	byLength := func(a, b string) int { return cmp.Or(cmp.Compare(lengths[a], lengths[b]), strings.Compare(a, b)) }
	return slices.SortedFunc(maps.Keys(lengths), byLength)
}

// groupsOf returns the labels that SLOs have a budget each for.
func groupsOf(slos []slo.SLO) (groups []string) {
	for _, s := range slos {
		groups = append(groups, s.GroupBy...)
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// inhibitions returns the rules of the configuration, which is valid.
func (c *Config) inhibitions(slos []slo.SLO) ([]incident.InhibitRule, error) {
	var rules []incident.InhibitRule
	if c.Incidents.DefaultInhibitions == nil || *c.Incidents.DefaultInhibitions {
		rules = incident.DefaultInhibitions(tiersOf(slos), groupsOf(slos))
	}
	for i, r := range c.Incidents.Inhibit {
		source, err := silence.ParseMatchers(r.Source)
		if err != nil {
			return nil, err
		}
		target, err := silence.ParseMatchers(r.Target)
		if err != nil {
			return nil, err
		}
		name := r.Name
		if name == "" {
			name = fmt.Sprintf("inhibition %d of the configuration", i+1)
		}
		rules = append(rules, incident.InhibitRule{Name: name, Source: source, Target: target, Equal: r.Equal})
	}
	return rules, nil
}

// watched returns which clusters must be heard.
func (c *Config) watched() ([]incident.Watch, error) {
	if c.Watchdog.Disabled {
		return nil, nil
	}
	of, err := silence.ParseMatchers(c.Watchdog.Matchers)
	if err != nil {
		return nil, err
	}
	var all []incident.Watch
	for _, cluster := range c.Clusters {
		all = append(all, incident.Watch{Cluster: cluster.Name, Matchers: of, Timeout: time.Duration(c.Watchdog.Timeout)})
	}
	return all, nil
}

// severities returns what the severities of other systems mean.
func (c *Config) severities() (ingest.Severities, error) {
	own := ingest.Severities{}
	for name, level := range c.Ingest.Severities {
		l, err := alert.ParseLevel(level)
		if err != nil {
			return nil, err
		}
		own[name] = l
	}
	return ingest.DefaultSeverities().With(own), nil
}

// reopenWithin is the configured time as the engine takes it.
func (i Incidents) reopenWithin() time.Duration {
	switch {
	case i.ReopenWithin == nil:
		return 0 // the engine's default
	case *i.ReopenWithin == 0:
		return -1
	}
	return time.Duration(*i.ReopenWithin)
}
