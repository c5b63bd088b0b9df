package slo

import (
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const (
	maxExclusions = 50
	maxRecurring  = 7 * day   // how long a recurring exclusion lasts
	maxOnce       = 400 * day // how long one does that is once
)

// exclusions checks the times that do not count.
func (c *checker) exclusions() {
	in := c.in.Spec.Exclusions
	if len(in) > maxExclusions {
		c.add("spec.exclusions", fmt.Sprintf("more than %d exclusions", maxExclusions), "remove those that are over")
		return
	}
	names := map[string]bool{}
	for i, text := range in {
		field := fmt.Sprintf("spec.exclusions.%d", i)
		switch {
		case text.Name == "":
			c.missing(field+".name", "what happens then, such as database-upgrade")
		case names[text.Name]:
			c.add(field+".name", fmt.Sprintf("%q is the name of another exclusion too", clip(text.Name)), "name each once")
		}
		c.text(field+".name", text.Name)
		names[text.Name] = true
		c.out.Exclusions = append(c.out.Exclusions, c.exclusion(field, text))
	}
}

func (c *checker) exclusion(field string, in ExclusionText) Exclusion {
	out := Exclusion{Name: in.Name}
	once, recurring := in.From != "" || in.To != "", in.Cron != "" || in.Duration != "" || in.Timezone != ""
	switch {
	case once && recurring:
		c.add(field, "both once and recurring", "keep from and to, or cron, timezone and duration")
	case once:
		c.once(field, in, &out)
	case recurring:
		c.recurring(field, in, &out)
	case !c.hasProblemBelow(field):
		c.add(field, "no time is given", "from and to, or cron and duration")
	}
	return out
}

// once reads an exclusion between two instants.
func (c *checker) once(field string, in ExclusionText, out *Exclusion) {
	out.From, out.To = c.moment(field+".from", in.From), c.moment(field+".to", in.To)
	switch length := out.To.Sub(out.From); {
	case out.From.IsZero() || out.To.IsZero():
	case length <= 0:
		c.add(field+".to", "not after from", "")
	case length > maxOnce:
		c.add(field+".to", "more than "+FormatDuration(maxOnce)+" after from", "")
	}
}

func (c *checker) moment(field, text string) time.Time {
	const hint = "a time with its zone (RFC 3339), such as 2026-12-24T22:00:00+08:00"
	if text == "" {
		c.missing(field, hint)
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		c.add(field, fmt.Sprintf("%q is not a time", clip(text)), hint)
		return time.Time{}
	}
	return at.UTC()
}

// recurring reads an exclusion that begins whenever a cron expression says.
func (c *checker) recurring(field string, in ExclusionText, out *Exclusion) {
	out.Zone = c.zone(field+".timezone", in.Timezone)
	if in.Cron == "" {
		c.missing(field+".cron", "when it begins, such as 0 2 * * 0 (each Sunday at two)")
	} else if problem := cronProblem(in.Cron); problem != "" {
		c.add(field+".cron", problem, "minute, hour, day of the month, month and weekday, such as 0 2 * * 0 (each Sunday at two)")
	}
	out.Cron = in.Cron
	if in.Duration == "" {
		c.missing(field+".duration", "how long it lasts, such as 2h")
		return
	}
	out.Duration = c.duration(field+".duration", in.Duration, time.Minute, time.Minute, maxRecurring, "such as 2h")
}

// cronProblem says what is wrong with a cron expression, "" when nothing is.
func cronProblem(text string) (problem string) {
	defer func() {
		if recover() != nil { // the library's answer to some texts
			problem = fmt.Sprintf("%q is not a cron expression", clip(text))
		}
	}()
	switch {
	case len(text) > maxText:
		return "longer than any cron expression"
	case strings.Contains(text, "TZ="):
		return "a time zone in the cron expression: timezone is for that"
	case strings.HasPrefix(text, "@every"):
		return "@every has no fixed times"
	}
	schedule, err := cron.ParseStandard(text)
	if err != nil {
		return fmt.Sprintf("%q is not a cron expression: %s", clip(text), clip(err.Error()))
	}
	if schedule.Next(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return fmt.Sprintf("%q names a day that never comes", clip(text))
	}
	return ""
}
