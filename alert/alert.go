// Package alert holds alerts and incidents as all of Midwatch sees them. It
// knows neither where alerts come from, nor where incidents are kept, nor who
// is told of them.
package alert

import (
	"time"

	"github.com/prometheus/common/model"
)

// Label names that Midwatch's rules set and its grouping reads.
const (
	LabelService  = "service"
	LabelSLO      = "slo"
	LabelSeverity = "severity"
	LabelTier     = "tier"
	LabelCluster  = "cluster"
)

// State says what an alert means at an instant.
type State string

// The states of an alert. Expired is not Resolved: whoever sent it fell
// silent, and silence is not recovery.
const (
	Firing   State = "firing"
	Resolved State = "resolved"
	Expired  State = "expired"
)

// Alert is one alert as its sender described it.
type Alert struct {
	Labels       model.LabelSet `json:"labels"`
	Annotations  model.LabelSet `json:"annotations,omitempty"`
	StartsAt     time.Time      `json:"starts_at"`
	EndsAt       time.Time      `json:"ends_at"` // when it resolved, or when it expires unless sent again
	GeneratorURL string         `json:"generator_url,omitempty"`
	State        State          `json:"state"`
	UpdatedAt    time.Time      `json:"updated_at"` // when it was last received

	ID         int64 `json:"-"` // in the store; 0 before it is kept
	IncidentID int64 `json:"-"` // whose alert it is; 0 before it is kept
}

// Fingerprint identifies the alert by its labels alone.
func (a Alert) Fingerprint() model.Fingerprint { return a.Labels.Fingerprint() }

// Label returns the value of a label, "" when it has none.
func (a Alert) Label(name string) string { return string(a.Labels[model.LabelName(name)]) }

// Level returns the level that the label severity names. An alert with no
// severity that Midwatch knows is a P3: seen the same day, wakes nobody.
func (a Alert) Level() Level {
	if l, err := ParseLevel(a.Label(LabelSeverity)); err == nil {
		return l
	}
	return P3
}
