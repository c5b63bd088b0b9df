// Package slotest runs unit tests of SLOs: series in, expected ratios, burn
// rates, budgets and alerts out. It reads the tests from YAML and evaluates
// the rules of the SLOs with package replay, on series that are in memory
// alone.
package slotest

import (
	"github.com/midwatch-slo/midwatch/slo"
)

// Kind marks the documents that hold a test.
const Kind = "SLOTest"

// document is a test as it is written.
type document struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"`
	Metadata   struct {
		Name string `yaml:"name"`
	} `yaml:"metadata"`
	Spec spec `yaml:"spec"`
}

type spec struct {
	SLOs           []string      `yaml:"slos"`            // files; those of the test's own file when left out
	Begin          string        `yaml:"begin"`           // RFC 3339; 2026-03-02T00:00:00Z, a Monday, when left out
	Interval       string        `yaml:"interval"`        // of evaluation; 30s when left out
	ScrapeInterval string        `yaml:"scrape_interval"` // 15s when left out
	Until          string        `yaml:"until"`           // the last expectation when left out
	Series         []seriesText  `yaml:"series"`
	Traffic        []trafficText `yaml:"traffic"`
	Expect         []expectText  `yaml:"expect"`
	Alerts         *[]alertText  `yaml:"alerts"` // all that fire; left out: whatever fires
	Quiet          []quietText   `yaml:"quiet"`
}

// seriesText is a series in promtool's notation.
type seriesText struct {
	Series   string `yaml:"series"`
	Values   string `yaml:"values"`
	Interval string `yaml:"interval"` // the scrape interval when left out
}

// trafficText makes two counters of a rate of events and a share of errors.
type trafficText struct {
	Errors     string       `yaml:"errors"` // series of the events that fail
	Good       string       `yaml:"good"`   // series of those that do not
	Total      string       `yaml:"total"`  // or series of all
	Rate       slo.Number   `yaml:"rate"`   // such as 100/s, 5/m
	ErrorRatio slo.Number   `yaml:"error_ratio"`
	From       string       `yaml:"from"`
	To         string       `yaml:"to"` // the end of the test when left out
	Changes    []changeText `yaml:"changes"`
}

// changeText is a time in which traffic is another.
type changeText struct {
	From       string     `yaml:"from"`
	To         string     `yaml:"to"`
	Rate       slo.Number `yaml:"rate"`
	ErrorRatio slo.Number `yaml:"error_ratio"`
	Gone       bool       `yaml:"gone"` // nothing is scraped
}

// expectText is what is expected of an SLO at a time.
type expectText struct {
	At         string                `yaml:"at"`
	SLO        string                `yaml:"slo"` // SERVICE/NAME; left out where there is one
	Labels     map[string]string     `yaml:"labels"`
	ErrorRatio map[string]slo.Number `yaml:"error_ratio"` // by window
	BurnRate   map[string]slo.Number `yaml:"burn_rate"`
	BudgetLeft slo.Number            `yaml:"budget_left"`
	Within     slo.Number            `yaml:"within"` // 2% when left out
}

// alertText is an alert that fires.
type alertText struct {
	SLO      string            `yaml:"slo"`
	Labels   map[string]string `yaml:"labels"`
	Alert    string            `yaml:"alert"` // SLOErrorBudgetBurn when left out
	Severity string            `yaml:"severity"`
	Tier     string            `yaml:"tier"`
	From     string            `yaml:"from"`
	To       string            `yaml:"to"`     // or never; left out: whenever
	Within   string            `yaml:"within"` // 1m when left out
}

// quietText is a time in which no alert may fire.
type quietText struct {
	SLO        string   `yaml:"slo"` // left out: any
	Severities []string `yaml:"severities"`
	From       string   `yaml:"from"`
	To         string   `yaml:"to"`
}
