package openslo

import (
	"fmt"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// window carries the time window over. Without one it is that of the native
// format, 30 days.
func (c *converter) window() {
	in, at := c.in.Spec.TimeWindow, c.from("spec.window", "spec.timeWindow")
	switch len(in) {
	case 0:
		return
	case 1:
	default:
		c.Problem(at.Item(1), "more than one time window", "keep one")
		return
	}
	at, w := at.Item(0), in[0]
	c.Places["spec.window"] = at.Child("duration")
	if w.Duration == "" {
		c.Problem(at.Child("duration"), "missing", shorthandHint)
		return
	}
	length, err := parseShorthand(w.Duration)
	if err != nil {
		c.Problem(at.Child("duration"), err.Error(), shorthandHint)
		return
	}
	rolling := w.Calendar == nil
	if w.IsRolling != nil {
		rolling = *w.IsRolling
	}
	switch {
	case rolling && w.Calendar != nil:
		c.Problem(at.Child("calendar"), "a calendar for a rolling window", "remove it, or isRolling: true")
	case rolling:
		c.Document.Spec.Window = slo.WindowText{Rolling: length.native()}
	case w.Calendar == nil:
		c.Problem(at.Child("isRolling"), "no calendar for a window that does not roll", "add calendar with startTime and timeZone")
	default:
		c.calendar(at, length, *w.Calendar)
	}
}

// calendar carries over a window that begins anew, where it is a calendar's
// week, month, quarter or year.
func (c *converter) calendar(at foreign.Place, length shorthand, in calendar) {
	zone, ok := c.zone(at.Child("calendar.timeZone"), in.TimeZone)
	if !ok {
		return
	}
	start, ok := c.start(at.Child("calendar.startTime"), in.StartTime, zone)
	if !ok {
		return
	}
	var unit slo.Calendar
	switch {
	case length.months() == 1:
		unit = slo.Month
	case length.months() == 3:
		unit = slo.Quarter
	case length.months() == 12:
		unit = slo.Year
	case length.unit == 'w' && length.count == 1, length.unit == 'd' && length.count == 7:
		unit = slo.Week
	case length.unit == 'm' && length.count <= 12:
		c.Problem(at.Child("duration"), fmt.Sprintf("%dm is minutes", length.count), fmt.Sprintf("%dM is months", length.count))
		return
	default:
		c.Problem(at.Child("duration"), "not a week, month, quarter or year of the calendar", "1w, 1M, 1Q or 1Y; or isRolling: true without calendar")
		return
	}
	w, err := slo.CalendarWindow(unit, zone)
	if err != nil {
		c.Problem(at, err.Error(), "")
		return
	}
	if begin, _ := w.Bounds(start); !begin.Equal(start) {
		c.Problem(at.Child("calendar.startTime"), fmt.Sprintf("not the beginning of a %s", unit),
			fmt.Sprintf("the one that holds it begins at %s", begin.Format(time.DateTime)))
		return
	}
	c.Document.Spec.Window = slo.WindowText{Calendar: string(unit), Timezone: in.TimeZone}
	c.Places["spec.window.timezone"] = at.Child("calendar.timeZone")
}

func (c *converter) zone(at foreign.Place, name string) (*time.Location, bool) {
	zone, err := time.LoadLocation(name) // UTC for ""
	if err != nil || name == "Local" {
		c.Problem(at, fmt.Sprintf("time zone %q is not known", foreign.Clip(name)), "a name of the IANA time zone database, such as Asia/Shanghai")
		return nil, false
	}
	return zone, true
}

func (c *converter) start(at foreign.Place, text string, zone *time.Location) (time.Time, bool) {
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if start, err := time.ParseInLocation(layout, text, zone); err == nil {
			return start, true
		}
	}
	hint := "date and time without a zone, such as 2026-01-01 00:00:00"
	if text == "" {
		c.Problem(at, "missing", hint)
	} else {
		c.Problem(at, fmt.Sprintf("%q is not a time", foreign.Clip(text)), hint)
	}
	return time.Time{}, false
}
