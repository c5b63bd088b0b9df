package slo

import "time"

// SLI says what is counted: exactly one of its parts is set.
type SLI struct {
	Events    *Events
	Latency   *Latency
	Gauge     *Gauge
	PromQL    *PromQL
	Ratio     *Ratio
	Logs      *LogEvents
	Composite []Component
}

// Events are PromQL vector selectors of counters. Exactly one of Errors and
// Good is set.
type Events struct {
	Errors, Good, Total string
}

// Latency counts as good what a histogram saw take no longer than Threshold.
type Latency struct {
	// Histogram is a vector selector: of a native histogram, or of a classic
	// one by its name without _bucket.
	Histogram string
	Native    bool
	Threshold Decimal // in the unit of the histogram, as a rule seconds
}

// Gauge measures time: each scrape of each series is an event, good when its
// value passes.
type Gauge struct {
	// Expr is a vector selector, or any instant vector expression.
	Expr string
	// Op and Threshold say what is good, such as <= 100. Op is "" for a
	// boolean gauge, where 1 is good and 0 is not.
	Op        string // one of <, <=, >, >=, ==, !=
	Threshold string // a number as written
}

// Unit says what an expression over $window gives.
type Unit string

// The units of an expression over $window.
const (
	PerSecond Unit = "rate"  // a rate, such as rate(x[$window])
	PerWindow Unit = "count" // a number of events in the window, such as increase(x[$window])
)

// PromQL are expressions with $window in place of their ranges. Exactly one
// of Errors and Good is set.
type PromQL struct {
	Errors, Good, Total string
	Unit                Unit // of all of them
}

// Ratio is a share of failed or good events, 0 to 1, that is already there.
// Exactly one of Errors and Good is set. With $window in it, it is an
// expression over that range; else it is averaged over time. All time weighs
// the same unless Total says how many events a second there were.
type Ratio struct {
	Errors, Good string
	Total        string // may be ""
}

// LogEvents are LogQL log queries whose lines Loki's ruler counts. Exactly one
// of Errors and Good is set.
type LogEvents struct {
	Errors, Good, Total string
}

// Component is an SLO that a composite is made of.
type Component struct {
	Service, Name string
	Weight        Decimal // above 0
}

// Exclusion is a time that does not count: its events are on neither side, and
// alerts are held. It is either once, From to To, or begins at each time of a
// cron expression and lasts for Duration.
type Exclusion struct {
	Name     string
	From, To time.Time
	Cron     string // five fields; "" for one that is once
	Zone     *time.Location
	Duration time.Duration // whole minutes, up to 7d
}
