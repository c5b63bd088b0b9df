package ingest

import (
	"maps"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// AnnotationSeverity holds the severity that an alert came with, where its
// label is now the level that this means.
const AnnotationSeverity = "severity"

// Severities says which level the severities of other systems mean, by their
// names in lower case.
type Severities map[string]alert.Level

// DefaultSeverities returns what the words mean that Prometheus' community,
// Grafana and Sentry use.
func DefaultSeverities() Severities {
	return Severities{
		"page": alert.P1, "emergency": alert.P1,
		"critical": alert.P2, "fatal": alert.P2, "error": alert.P2, "high": alert.P2,
		"warning": alert.P3, "warn": alert.P3, "medium": alert.P3, "low": alert.P3,
		"info": alert.Info, "information": alert.Info, "debug": alert.Info, "none": alert.Info,
	}
}

// With returns the severities, changed by others: those that somebody
// configured.
func (s Severities) With(others Severities) Severities {
	all := maps.Clone(s)
	for name, level := range others {
		all[strings.ToLower(name)] = level
	}
	return all
}

// Normalize returns the alert with its label severity as one of Midwatch's
// levels. What is a level already, and what nobody knows, stays as it is:
// the latter is a P3. The severity that it came with is kept as an
// annotation.
func (s Severities) Normalize(a alert.Alert) alert.Alert {
	came := a.Labels[alert.LabelSeverity]
	if came == "" {
		return a
	}
	level, err := alert.ParseLevel(string(came))
	if err != nil {
		known, ok := s[strings.ToLower(string(came))]
		if !ok {
			return a
		}
		level = known
	}
	if string(came) == level.String() {
		return a
	}
	a.Labels, a.Annotations = a.Labels.Clone(), a.Annotations.Clone()
	if a.Annotations == nil {
		a.Annotations = model.LabelSet{}
	}
	a.Labels[alert.LabelSeverity] = model.LabelValue(level.String())
	if _, taken := a.Annotations[AnnotationSeverity]; !taken {
		a.Annotations[AnnotationSeverity] = came
	}
	return a
}
