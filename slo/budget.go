package slo

import (
	"fmt"
	"math/big"
	"slices"
	"time"
)

const maxGroups = 10

// defaultWindow is the window of an SLO that names none.
const defaultWindow = "30d"

const windowHint = "a rolling window of whole minutes, such as 30d, 4w or 36h, or {calendar: month, timezone: Asia/Shanghai}"

func (c *checker) window() {
	const field = "spec.window"
	in := c.in.Spec.Window
	var err error
	switch {
	case in.Calendar != "":
		zone := c.zone(field+".timezone", in.Timezone)
		if c.out.Window, err = CalendarWindow(Calendar(in.Calendar), zone); err != nil {
			c.add(field+".calendar", fmt.Sprintf("calendar %q is not known", clip(in.Calendar)), "week, month, quarter or year")
		}
		return
	case in.Timezone != "":
		c.missing(field+".calendar", "week, month, quarter or year; a time zone says when they begin")
		return
	case in.Rolling == "":
		in.Rolling = defaultWindow
	}
	if c.out.Window, err = ParseWindow(in.Rolling); err != nil {
		c.add(field, clip(err.Error()), windowHint)
	}
}

// zone returns a time zone by its name, UTC where there is none or it is not
// known.
func (c *checker) zone(field, name string) *time.Location {
	if name == "" || name == "UTC" {
		return time.UTC
	}
	zone, err := c.from.File.Location(name)
	if err != nil || name == "Local" {
		c.add(field, fmt.Sprintf("time zone %q is not known", clip(name)), "a name of the IANA time zone database, such as Asia/Shanghai")
		return time.UTC
	}
	return zone
}

func (c *checker) groupBy() {
	groups := c.in.Spec.GroupBy
	if len(groups) == 0 {
		return
	}
	if len(groups) > maxGroups {
		c.add("spec.group_by", fmt.Sprintf("more than %d labels", maxGroups), "each combination of values has a budget of its own")
		return
	}
	for i, name := range groups {
		field := fmt.Sprintf("spec.group_by.%d", i)
		if slices.Contains(groups[:i], name) {
			c.add(field, fmt.Sprintf("label %q is given twice", clip(name)), "remove one")
			continue
		}
		c.label(field, name)
	}
	c.out.GroupBy = slices.Sorted(slices.Values(groups))
}

func (c *checker) scope() {
	switch scope := Scope(c.in.Spec.Scope); scope {
	case "":
		c.out.Scope = ScopeCluster
	case ScopeCluster, ScopeFleet, ScopeBoth:
		c.out.Scope = scope
	default:
		c.add("spec.scope", fmt.Sprintf("scope %q is not known", clip(string(scope))), "cluster (each for itself), fleet (all together) or both")
	}
}

// slices checks how time is sliced.
func (c *checker) slices() {
	const field = "spec.slices"
	in := c.in.Spec.Slices
	if in == nil {
		return
	}
	c.out.Slices = &Slices{}
	if c.in.Spec.SLI.Composite != nil {
		c.add(field, "a composite has no slices", "give them to its parts")
	}
	if in.Length == "" {
		c.missing(field+".length", "how long a slice is, such as 5m")
	} else {
		c.out.Slices.Length = c.duration(field+".length", in.Length, time.Minute, time.Minute, time.Hour, "such as 5m")
	}
	if in.Target != "" {
		c.out.Slices.Target = c.percent(field+".target", in.Target, "the share of good events from which on a slice is good, such as 95")
	}
}

// percent reads a percentage above 0 and at most 100.
func (c *checker) percent(field string, text Number, hint string) Decimal {
	return c.decimal(field, text, 100, hint)
}

// decimal reads a number above 0 and at most so high; where there is a problem
// it returns the zero Decimal.
func (c *checker) decimal(field string, text Number, most int64, hint string) Decimal {
	d, err := ParseDecimal(string(text))
	if err != nil {
		c.add(field, fmt.Sprintf("%q is not a decimal number", clip(string(text))), hint)
		return Decimal{}
	}
	if d.value.Sign() <= 0 || d.value.Cmp(big.NewRat(most, 1)) > 0 {
		c.add(field, fmt.Sprintf("%s is not above 0 and at most %d", text, most), hint)
		return Decimal{}
	}
	return d
}
