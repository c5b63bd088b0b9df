package slo

import (
	"math/big"
	"time"
)

// Policy says what an SLO alerts on.
type Policy struct {
	Preset      Preset        // "" where the tiers are the SLO's own
	Tiers       []Tier        // by long window, then short; those of the preset or the SLO's own, and that of an outage
	BudgetSpent []BudgetSpent // by percent
	NoData      *NoData       // nil: series that are gone are no alert
	// MinFailures is how many events at least must have failed over a tier's
	// long window, and Confidence how sure it must be, in percent, that they
	// are more than an SLO that keeps its objective has by chance.
	MinFailures int
	Confidence  Decimal
	// Page and Ticket are what the alerts of severity P1 and P2, and those of
	// P3 and Info, carry besides what all alerts of the SLO carry.
	Page, Ticket Extra
}

// Extra are labels and annotations of some alerts of an SLO.
type Extra struct {
	Labels, Annotations map[string]string
}

// Preset is the name of a table of tiers.
type Preset string

// The presets.
const (
	// PresetWorkbook has the windows and burn rates of the SRE Workbook,
	// whatever the length of the budget's window.
	PresetWorkbook Preset = "workbook"
	// PresetScaled has windows that spend the same share of the budget at the
	// same burn rate: those of a 7-day SLO are about a quarter as long.
	PresetScaled Preset = "scaled"
	// PresetNone has no tiers.
	PresetNone Preset = "none"
)

// DefaultMinFailures is how many events must have failed where an SLO does not
// say how many.
const DefaultMinFailures = 3

// DefaultConfidence is the confidence of an SLO that names none, in percent.
func DefaultConfidence() Decimal { return mustDecimal("99.9") }

// BudgetSpent alerts when so much of the budget is spent.
type BudgetSpent struct {
	Percent  Decimal // above 0, at most 1000
	Severity string  // the label severity
}

// NoData alerts when what an SLO counts has been gone for so long.
type NoData struct {
	After    time.Duration
	Severity string
}

// Tier is one pair of windows of the multiwindow, multi-burn-rate alert: it
// fires when the error budget burns faster than Factor over both.
type Tier struct {
	Name        string // the label tier, such as 1h5m
	Long, Short time.Duration
	Factor      *big.Rat      // burn rate; 1 spends the budget in exactly its window
	Severity    string        // the label severity
	Critical    string        // the label severity where the SLO is critical
	For         time.Duration // how long both must hold before it fires
	// Outage is the tier of a total outage: whatever the budget, it fires when
	// next to everything fails over Short and a part of that over Long.
	Outage bool
}

// WorkbookTiers returns the table of The Site Reliability Workbook, chapter 5,
// "Multiwindow, Multi-Burn-Rate Alerts", fastest first: 2% of a 30-day budget
// in an hour (14.4), 5% in six hours (6) and 10% in three days (1), and 10% in
// a day (3), which its example rules add.
func WorkbookTiers() []Tier {
	const hour = time.Hour
	return []Tier{
		{Name: "1h5m", Long: hour, Short: 5 * time.Minute, Factor: big.NewRat(144, 10), Severity: "P2", Critical: "P1"},
		{Name: "6h30m", Long: 6 * hour, Short: 30 * time.Minute, Factor: big.NewRat(6, 1), Severity: "P2", Critical: "P2"},
		{Name: "1d2h", Long: day, Short: 2 * hour, Factor: big.NewRat(3, 1), Severity: "P3", Critical: "P3"},
		{Name: "3d6h", Long: 3 * day, Short: 6 * hour, Factor: big.NewRat(1, 1), Severity: "P3", Critical: "P3"},
	}
}

// The windows of the outage tier, and the share of events that must fail over
// each. All that is scraped of a service that answers nothing fails over the
// short one at the latest 60 s after the onset; by then a fifth of the long
// one has.
const (
	outageLong, outageShort = 5 * time.Minute, time.Minute
)

// OutageTier returns the tier that pages a total outage, on top of others.
func OutageTier() Tier {
	return Tier{Name: "5m1m", Long: outageLong, Short: outageShort, Severity: "P2", Critical: "P1", Outage: true}
}

// SeverityOf returns the severity that the tier has for an SLO.
func (t Tier) SeverityOf(s SLO) string {
	if s.Critical {
		return t.Critical
	}
	return t.Severity
}

// Thresholds returns the shares of failed events over the tier's long and
// short windows that it fires above, exactly. Both are its factor times the
// error budget, but for an outage.
func (t Tier) Thresholds(s SLO) (long, short *big.Rat) {
	if t.Outage {
		return big.NewRat(10, 100), big.NewRat(98, 100)
	}
	threshold := new(big.Rat).Mul(t.Factor, s.ErrorBudget())
	return threshold, threshold
}

// Share returns the share of the budget of an SLO that is spent when its tier
// fires after the whole of its long window.
func (t Tier) Share(w Window) *big.Rat {
	part := big.NewRat(int64(t.Long/time.Second), int64(w.Duration()/time.Second))
	return part.Mul(part, t.Factor)
}
