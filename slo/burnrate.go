package slo

import (
	"math/big"
	"time"
)

// Tier is one pair of windows of the multiwindow, multi-burn-rate alert: it
// fires when the error budget burns faster than Factor over both.
type Tier struct {
	Name        string // the label tier, such as 1h5m
	Long, Short time.Duration
	Factor      *big.Rat // burn rate; 1 spends the budget in exactly its window
	Severity    string   // the label severity
	Critical    string   // the label severity where the SLO is critical
}

// Tiers returns the pairs that every SLO alerts on, fastest first: the table
// of The Site Reliability Workbook, chapter 5, "Multiwindow, Multi-Burn-Rate
// Alerts": 2% of a 30-day budget in an hour (14.4), 5% in six hours (6) and 10%
// in three days (1), and 10% in a day (3), which its example rules add.
func Tiers() []Tier {
	const hour = time.Hour
	return []Tier{
		{Name: "1h5m", Long: hour, Short: 5 * time.Minute, Factor: big.NewRat(144, 10), Severity: "P2", Critical: "P1"},
		{Name: "6h30m", Long: 6 * hour, Short: 30 * time.Minute, Factor: big.NewRat(6, 1), Severity: "P2", Critical: "P2"},
		{Name: "1d2h", Long: day, Short: 2 * hour, Factor: big.NewRat(3, 1), Severity: "P3", Critical: "P3"},
		{Name: "3d6h", Long: 3 * day, Short: 6 * hour, Factor: big.NewRat(1, 1), Severity: "P3", Critical: "P3"},
	}
}

// SeverityOf returns the severity that the tier has for an SLO.
func (t Tier) SeverityOf(s SLO) string {
	if s.Critical {
		return t.Critical
	}
	return t.Severity
}

// Threshold returns the share of failed events that the tier fires above,
// exactly: its factor times the error budget.
func (t Tier) Threshold(s SLO) *big.Rat {
	return new(big.Rat).Mul(t.Factor, s.ErrorBudget())
}
