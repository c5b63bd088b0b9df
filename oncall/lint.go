package oncall

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/diag"
)

// Horizon is how far ahead of an instant gaps are looked for.
const Horizon = 8 * 7 * 24 * time.Hour

// lintStep is how far apart the instants are at which policies are tried.
const lintStep = 30 * time.Minute

// lateP1 is the longest that a person should wait for the first page of a P1.
const lateP1 = 5 * time.Minute

// Severity says how bad a finding is.
type Severity string

// The severities of findings.
const (
	Error   Severity = "error"   // somebody will not be told, or the wrong one
	Warning Severity = "warning" // it may be meant so
)

// Finding is something in files that are valid that will let somebody down.
type Finding struct {
	Severity Severity
	diag.Problem
}

// place is where something stands in the files.
type place struct{ at diag.Problem }

func (p place) finding(severity Severity, message, hint string) Finding {
	f := Finding{Severity: severity, Problem: p.at}
	f.Message, f.Hint = message, hint
	return f
}

// Lint returns what in the files will let somebody down from an instant on,
// as far ahead as horizon: gaps, people who cannot be reached, policies whose
// steps have nobody, what nobody uses, and holidays that are not known. When
// channels are given, contacts through others reach nobody. Findings are in
// the order of the files.
func (r *Roster) Lint(at time.Time, horizon time.Duration, channels ...string) []Finding {
	var found []Finding
	for _, name := range r.order {
		found = append(found, r.lintSchedule(name, at, horizon)...)
	}
	for _, name := range r.userOrder {
		found = append(found, r.users[name].lint(channels)...)
	}
	for _, name := range r.policyOrder {
		found = append(found, r.lintPolicy(r.policies[name], at, horizon)...)
	}
	found = append(found, r.HolidayGaps(at)...)
	slices.SortStableFunc(found, func(a, b Finding) int { return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line)) })
	return found
}

// lintSchedule finds the gaps of a schedule, and whether anything uses it.
func (r *Roster) lintSchedule(name string, at time.Time, horizon time.Duration) (found []Finding) {
	s := r.schedules[name]
	used, alone := r.uses(name)
	if !used {
		found = append(found, s.place.finding(Warning, fmt.Sprintf("nothing uses the schedule %q", name), "name it in a policy, in a route or as default_schedule"))
	}
	found = append(found, s.lintCalendars(at, horizon)...)
	var gaps []Shift
	for _, shift := range r.Shifts(name, at, at.Add(horizon)) {
		if shift.Gap() {
			gaps = append(gaps, shift)
		}
	}
	if len(gaps) == 0 {
		return found
	}
	message := fmt.Sprintf("nobody is on call in %q from %s to %s", name, clock(gaps[0].From, s.loc), clock(gaps[0].Until, s.loc))
	if more := len(gaps) - 1; more > 0 {
		message += fmt.Sprintf(", and %d times more within %d days", more, int(horizon.Hours()/24))
	}
	severity, hint := Warning, "mind that its policies have somebody then"
	if alone {
		severity, hint = Error, "pages go to whoever comes next: fill the gap, or give it a policy with another step"
	}
	return append(found, s.place.finding(severity, message, hint))
}

// LintCalendars returns what Lint finds in the calendars that layers take
// their shifts from: those that are not known, and events that name nobody.
func (r *Roster) LintCalendars(at time.Time, horizon time.Duration) (found []Finding) {
	for _, name := range r.order {
		found = append(found, r.schedules[name].lintCalendars(at, horizon)...)
	}
	return found
}

func (s *schedule) lintCalendars(at time.Time, horizon time.Duration) (found []Finding) {
	for _, l := range s.everyLayer() {
		if l.feed != nil {
			found = append(found, l.feed.lint(at, horizon, s.loc)...)
		}
	}
	return found
}

func clock(at time.Time, loc *time.Location) string { return at.In(loc).Format("Mon 2006-01-02 15:04") }

// uses tells whether a policy pages a schedule, and whether one does nothing
// else.
func (r *Roster) uses(schedule string) (used, alone bool) {
	for _, p := range r.policies {
		if slices.ContainsFunc(p.targets(), func(t target) bool { return t.kind == toSchedule && t.name == schedule }) {
			used, alone = true, alone || p.alone
		}
	}
	return used, alone
}

// lint finds levels at which a person is not reached, or late.
func (u user) lint(channels []string) (found []Finding) {
	for _, level := range []alert.Level{alert.P1, alert.P2, alert.P3} {
		first, reached := time.Duration(0), false
		for _, r := range u.rulesFor(level) {
			if len(channels) > 0 && !slices.Contains(channels, u.contacts[r.contact].channel) {
				continue
			}
			if !reached || r.after < first {
				first, reached = r.after, true
			}
		}
		switch {
		case !reached:
			found = append(found, u.place.finding(Error, fmt.Sprintf("%s has no reachable contact at %s", u.fullName, level), "a rule of the level, or a contact, through a channel that is configured"))
		case level == alert.P1 && first > lateP1:
			found = append(found, u.place.finding(Warning, fmt.Sprintf("%s hears of a P1 after %s", u.fullName, model.Duration(first)), "a rule without after pages at once"))
		}
	}
	return found
}

// lintPolicy finds whether anything uses a policy, and the first time at
// which none of its steps has anybody.
func (r *Roster) lintPolicy(p *policy, at time.Time, horizon time.Duration) (found []Finding) {
	used := r.fallback == p.name || r.admins == p.name
	for _, rt := range r.routes {
		used = used || rt.policy == p.name
	}
	if !used {
		found = append(found, p.place.finding(Warning, fmt.Sprintf("nothing uses the policy %q", p.name), "name it in a route, as default_policy or as admins"))
	}
	levels, first := []string{}, time.Time{}
	for _, level := range []alert.Level{alert.P1, alert.P2, alert.P3} {
		if when, empty := r.firstEmpty(p, level, at, horizon); empty {
			levels = append(levels, level.String())
			if first.IsZero() || when.Before(first) {
				first = when
			}
		}
	}
	if len(levels) > 0 {
		message := fmt.Sprintf("no step of %q has anybody for %s at %s", p.name, strings.Join(levels, ", "), clock(first, r.hoursOf(p, nil).loc))
		found = append(found, p.place.finding(Warning, message, "its last resort is told then"))
	}
	return found
}

// firstEmpty returns the first instant at which a policy ends with nobody but
// its last resort.
func (r *Roster) firstEmpty(p *policy, level alert.Level, at time.Time, horizon time.Duration) (time.Time, bool) {
	var tiers []string
	for _, s := range p.steps {
		tiers = append(tiers, s.tiers...)
	}
	for t := at; t.Before(at.Add(horizon)); t = t.Add(lintStep) {
		e := escalation{r: r, p: p, at: t, q: StepRequest{Level: level, Tiers: tiers}}
		if !e.anybody() {
			return t, true
		}
	}
	return time.Time{}, false
}

// anybody tells whether some step has somebody.
func (e *escalation) anybody() bool {
	for i := range e.p.steps {
		if len(e.page(i, 0)) > 0 {
			return true
		}
	}
	return false
}

// Calendars returns the names of the holiday calendars in use, sorted.
func (r *Roster) Calendars() []string { return slices.Sorted(maps.Keys(r.holidays)) }
