package sloth

import (
	"fmt"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// alertWindows is the object that says over which windows the SLOs of a period
// alert.
type alertWindows struct {
	APIVersion string             `yaml:"apiVersion"`
	Kind       string             `yaml:"kind"`
	Metadata   foreign.ObjectMeta `yaml:"metadata"`
	Spec       windowsSpec        `yaml:"spec"`
}

type windowsSpec struct {
	SLOPeriod string      `yaml:"sloPeriod"`
	Page      windowPairs `yaml:"page"`
	Ticket    windowPairs `yaml:"ticket"`
}

type windowPairs struct {
	Quick windowPair `yaml:"quick"`
	Slow  windowPair `yaml:"slow"`
}

type windowPair struct {
	ErrorBudgetPercent slo.Number `yaml:"errorBudgetPercent"`
	ShortWindow        string     `yaml:"shortWindow"`
	LongWindow         string     `yaml:"longWindow"`
}

// catalog are windows and where they are.
type catalog struct {
	windowsSpec
	at     foreign.Place // of the spec
	period slo.Window
}

func (r *Reader) addWindows(at foreign.Place) {
	var in alertWindows
	problems := at.File.DecodeAt(at.Node, at.Field, &in)
	c := catalog{windowsSpec: in.Spec, at: at.Child("spec")}
	r.problems = append(r.problems, problems...)
	if len(problems) > 0 {
		return
	}
	period, err := slo.ParseWindow(in.Spec.SLOPeriod)
	if err != nil {
		r.problems = append(r.problems, c.at.Child("sloPeriod").Problem(err.Error(), "how long the error budget is for, such as 30d"))
		return
	}
	c.period = period
	if !r.complete(c) {
		return
	}
	for _, other := range r.windows {
		if other.period == period {
			r.problems = append(r.problems, c.at.Child("sloPeriod").Problem(
				fmt.Sprintf("windows for %s are already in %s, line %d", period, other.at.File.Name, other.at.Node.Line), "keep one of them"))
			return
		}
	}
	r.windows = append(r.windows, c)
}

// complete says whether all windows of a catalog are there, and notes those
// that are not.
func (r *Reader) complete(c catalog) bool {
	before := len(r.problems)
	for _, path := range []string{"page.quick", "page.slow", "ticket.quick", "ticket.slow"} {
		at := c.at.Child(path)
		if !c.at.Has(path) {
			r.problems = append(r.problems, at.Problem("missing", "errorBudgetPercent, shortWindow and longWindow"))
			continue
		}
		for _, key := range [][2]string{
			{"errorBudgetPercent", "percent of the budget that is spent over the long window, such as 2"},
			{"shortWindow", "the window that says that it still burns, such as 5m"},
			{"longWindow", "the window over which the budget burns, such as 1h"},
		} {
			if !at.Has(key[0]) {
				r.problems = append(r.problems, at.Child(key[0]).Problem("missing", key[1]))
			}
		}
	}
	return len(r.problems) == before
}

// catalog returns the windows for the period of the SLOs. Where there are
// windows and none for it, they would be for nothing.
func (r *Reader) catalog() *catalog {
	period, err := slo.ParseWindow(Period)
	if err != nil || len(r.entries) == 0 || len(r.windows) == 0 {
		return nil
	}
	for i, c := range r.windows {
		if c.period == period {
			return &r.windows[i]
		}
	}
	first := r.windows[0]
	r.problems = append(r.problems, first.at.Child("sloPeriod").Problem(
		fmt.Sprintf("no SLO is for %s: Sloth's files do not say their period, which is taken to be %s", first.period, Period),
		"convert the SLOs without it, then write the window and the tiers into them"))
	return nil
}

// tiers gives an SLO the tiers of the windows, less those of alerts that are
// disabled and those that could never fire. Without windows they are
// Midwatch's own, which are Sloth's.
func tiers(e *foreign.Entry, a alerting, windows *catalog) {
	if windows == nil {
		e.Default(slo.PresetWorkbook, func(t slo.Tier) bool {
			if t.Severity == "P3" {
				return !a.ticket.Disable
			}
			return !a.page.Disable
		})
		return
	}
	for _, w := range []struct {
		path               string
		pair               windowPair
		off                bool
		severity, critical string
	}{
		{"page.quick", windows.Page.Quick, a.page.Disable, "P2", "P1"},
		{"page.slow", windows.Page.Slow, a.page.Disable, "P2", ""},
		{"ticket.quick", windows.Ticket.Quick, a.ticket.Disable, "P3", ""},
		{"ticket.slow", windows.Ticket.Slow, a.ticket.Disable, "P3", ""},
	} {
		if !w.off && e.CanFire(w.pair.ErrorBudgetPercent, w.pair.LongWindow) {
			tier(e, windows.at.Child(w.path), slo.TierText{
				Long: w.pair.LongWindow, Short: w.pair.ShortWindow, BudgetPercent: w.pair.ErrorBudgetPercent, Severity: w.severity, Critical: w.critical,
			})
		}
	}
	if len(e.Alerts().Tiers) == 0 {
		e.Alerts().Preset = string(slo.PresetNone)
	}
}

// tier adds a tier that was made from the windows at a place.
func tier(e *foreign.Entry, at foreign.Place, t slo.TierText) {
	field := fmt.Sprintf("spec.alerts.tiers.%d", len(e.Alerts().Tiers))
	e.Alerts().Tiers = append(e.Alerts().Tiers, t)
	e.Places[field] = at
	for native, theirs := range map[string]string{"long": "longWindow", "short": "shortWindow", "budget_percent": "errorBudgetPercent"} {
		e.Places[field+"."+native] = at.Child(theirs)
	}
}
