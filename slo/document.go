package slo

import "go.yaml.in/yaml/v3"

// Document is the native format as it is written, for who reads it and for
// who converts other formats to it. Empty fields are left out when it is
// written.
type Document struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`
}

// Metadata names an SLO.
type Metadata struct {
	Name        string            `yaml:"name"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// Spec is what an SLO says. The fields are those of SLO, as people write them.
type Spec struct {
	Service     string          `yaml:"service"`
	Description string          `yaml:"description,omitempty"`
	Owner       string          `yaml:"owner,omitempty"`
	Team        string          `yaml:"team,omitempty"`
	Links       []Link          `yaml:"links,omitempty"`
	Critical    bool            `yaml:"critical,omitempty"`
	Objective   Number          `yaml:"objective"`
	Window      WindowText      `yaml:"window,omitempty"`
	GroupBy     []string        `yaml:"group_by,omitempty"`
	Scope       string          `yaml:"scope,omitempty"`
	Runbook     string          `yaml:"runbook,omitempty"`
	Logs        string          `yaml:"logs,omitempty"`
	SLI         SLIText         `yaml:"sli"`
	Slices      *SlicesText     `yaml:"slices,omitempty"`
	Exclusions  []ExclusionText `yaml:"exclusions,omitempty"`
	Alerts      *AlertsText     `yaml:"alerts,omitempty"`
}

// SLIText is an SLI as written.
type SLIText struct {
	Events    *EventsText     `yaml:"events,omitempty"`
	Latency   *LatencyText    `yaml:"latency,omitempty"`
	Gauge     *GaugeText      `yaml:"gauge,omitempty"`
	PromQL    *PromQLText     `yaml:"promql,omitempty"`
	Ratio     *RatioText      `yaml:"ratio,omitempty"`
	Logs      *EventsText     `yaml:"logs,omitempty"` // LogQL instead of selectors
	Composite []ComponentText `yaml:"composite,omitempty"`
}

// EventsText are selectors of counters as written.
type EventsText struct {
	Errors string `yaml:"errors,omitempty"`
	Good   string `yaml:"good,omitempty"`
	Total  string `yaml:"total"`
}

// LatencyText is a latency SLI as written: one of Histogram (classic, without
// _bucket) and Native.
type LatencyText struct {
	Histogram string `yaml:"histogram,omitempty"`
	Native    string `yaml:"native,omitempty"`
	Threshold Number `yaml:"threshold"` // seconds, or a duration such as 300ms
}

// GaugeText is a gauge over time as written.
type GaugeText struct {
	Expr string `yaml:"expr"`
	Good Number `yaml:"good,omitempty"` // such as "<= 100"; left out for a boolean
}

// PromQLText are expressions with $window as written.
type PromQLText struct {
	Errors string `yaml:"errors,omitempty"`
	Good   string `yaml:"good,omitempty"`
	Total  string `yaml:"total"`
	Unit   string `yaml:"unit,omitempty"` // rate or count; told from the functions when left out
}

// RatioText is a ratio as written.
type RatioText struct {
	Errors string `yaml:"errors,omitempty"`
	Good   string `yaml:"good,omitempty"`
	Total  string `yaml:"total,omitempty"`
}

// ComponentText is a part of a composite as written.
type ComponentText struct {
	SLO    string `yaml:"slo"`              // service/name
	Weight Number `yaml:"weight,omitempty"` // 1 when left out
}

// SlicesText are time slices as written.
type SlicesText struct {
	Length string `yaml:"length"`
	Target Number `yaml:"target,omitempty"`
}

// ExclusionText is an exclusion as written: from and to, or cron and duration.
type ExclusionText struct {
	Name     string `yaml:"name"`
	From     string `yaml:"from,omitempty"` // RFC 3339
	To       string `yaml:"to,omitempty"`
	Cron     string `yaml:"cron,omitempty"`
	Timezone string `yaml:"timezone,omitempty"` // of cron; UTC when left out
	Duration string `yaml:"duration,omitempty"`
}

// AlertsText is a policy as written.
type AlertsText struct {
	Preset      string            `yaml:"preset,omitempty"`
	Outage      bool              `yaml:"outage,omitempty"`
	Tiers       []TierText        `yaml:"tiers,omitempty"` // instead of a preset
	BudgetSpent []BudgetSpentText `yaml:"budget_spent,omitempty"`
	NoData      *NoDataText       `yaml:"no_data,omitempty"`
	LowTraffic  *LowTrafficText   `yaml:"low_traffic,omitempty"`
	Page        *ExtraText        `yaml:"page,omitempty"`   // on alerts of P1 and P2
	Ticket      *ExtraText        `yaml:"ticket,omitempty"` // on alerts of P3 and Info
}

// TierText is a tier as written: one of BurnRate and BudgetPercent.
type TierText struct {
	Long          string `yaml:"long"`
	Short         string `yaml:"short"`
	BurnRate      Number `yaml:"burn_rate,omitempty"`
	BudgetPercent Number `yaml:"budget_percent,omitempty"` // of the budget, spent over the long window
	Severity      string `yaml:"severity"`
	Critical      string `yaml:"critical,omitempty"` // severity where the SLO is critical
	For           string `yaml:"for,omitempty"`
}

// BudgetSpentText is a budget threshold as written: a percentage alone, or
// with its severity.
type BudgetSpentText struct {
	Percent  Number `yaml:"percent"`
	Severity string `yaml:"severity,omitempty"`
}

// NoDataText is the alert of missing series as written.
type NoDataText struct {
	After    string `yaml:"after,omitempty"`
	Severity string `yaml:"severity,omitempty"`
}

// LowTrafficText is what counts where there is little traffic, as written.
type LowTrafficText struct {
	MinFailures *int   `yaml:"min_failures,omitempty"`
	Confidence  Number `yaml:"confidence,omitempty"`
}

// ExtraText are labels and annotations of some alerts as written.
type ExtraText struct {
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// SetScalar takes a percentage alone.
func (b *BudgetSpentText) SetScalar(text string) { b.Percent = Number(text) }

// MarshalYAML writes a percentage without a severity alone.
func (b BudgetSpentText) MarshalYAML() (any, error) {
	if b.Severity == "" {
		return b.Percent, nil
	}
	type fields BudgetSpentText // without this method
	return fields(b), nil
}

// Number keeps the text of a scalar, so that 99.90 stays what it is.
type Number string

// SetScalar takes a scalar as it is written.
func (s *Number) SetScalar(text string) { *s = Number(text) }

// MarshalYAML writes the text without quotes where it needs none.
func (s Number) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: string(s)}
	if _, err := ParseDecimal(string(s)); err != nil {
		n.SetString(string(s))
	}
	return n, nil
}

// WindowText is a duration, written alone, or a calendar's unit and its time
// zone.
type WindowText struct {
	Rolling  string `yaml:"-"`
	Calendar string `yaml:"calendar,omitempty"`
	Timezone string `yaml:"timezone,omitempty"`
}

// SetScalar takes a duration as it is written.
func (w *WindowText) SetScalar(text string) { w.Rolling = text }

// MarshalYAML writes the window as it is read.
func (w WindowText) MarshalYAML() (any, error) {
	if w.Calendar == "" {
		return w.Rolling, nil
	}
	type fields WindowText // without this method
	return fields(w), nil
}

// IsZero says whether no window is given.
func (w WindowText) IsZero() bool { return w == WindowText{} }
