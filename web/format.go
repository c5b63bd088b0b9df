package web

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/page"
)

// unknown is shown for a number that nobody knows.
const unknown = "–"

// minus is as wide as a digit, so that columns of numbers line up.
const minus = "\u2212"

func signed(s string) string { return strings.Replace(s, "-", minus, 1) }

func known(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// budget writes a share of an error budget as percent: 64.2%, −12.5%, −340%.
func budget(f float64) string {
	switch p := f * 100; {
	case !known(f):
		return unknown
	case math.Abs(p) >= 99.95:
		return signed(strconv.FormatFloat(p, 'f', 0, 64)) + "%"
	default:
		return signed(strconv.FormatFloat(p, 'f', 1, 64)) + "%"
	}
}

// errorRatio writes a ratio of errors as percent, with more digits the
// smaller it is: 40.0%, 0.52%, 0.012%.
func errorRatio(f float64) string {
	if !known(f) {
		return unknown
	}
	digits := 3
	switch p := math.Abs(f * 100); {
	case p == 0:
		digits = 0
	case p >= 1:
		digits = 1
	case p >= 0.1:
		digits = 2
	}
	return signed(strconv.FormatFloat(f*100, 'f', digits, 64)) + "%"
}

// burnRate writes a burn rate: 0.3×, 14.4×, 800×.
func burnRate(f float64) string {
	switch {
	case !known(f):
		return unknown
	case f >= 99.95:
		return strconv.FormatFloat(f, 'f', 0, 64) + "×"
	case f > 0 && f < 0.05:
		return "<0.1×"
	}
	return signed(strconv.FormatFloat(f, 'f', 1, 64)) + "×"
}

// lasting writes a length of time in at most two units: 40 s, 14 min,
// 2 h 05 min, 3 d 4 h.
func lasting(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 24*time.Hour:
		return pair(d/time.Hour, "h", fmt.Sprintf("%02d min", d%time.Hour/time.Minute), d%time.Hour < time.Minute)
	}
	days := d / (24 * time.Hour)
	rest := d % (24 * time.Hour) / time.Hour
	return pair(days, "d", fmt.Sprintf("%d h", rest), rest == 0 || days >= 10)
}

func pair(n time.Duration, unit, rest string, alone bool) string {
	if alone {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %s", n, unit, rest)
}

// plural writes a count and its noun: "1 alert", "3 alerts".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// count writes a number in groups of three digits: 12 480.
func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}

// cut shortens a text from outside to at most n bytes and an ellipsis, at the
// border of a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// link returns s when it is a URL that a page may lead to: absolute, http or
// https; else "".
func link(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil {
		return ""
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return u.String()
}

// links returns those that lead to web pages.
func links(all []page.SLOLink) (safe []page.SLOLink) {
	for _, l := range all {
		if l.URL = link(l.URL); l.URL != "" {
			safe = append(safe, l)
		}
	}
	return safe
}

// stamp is an instant as a page shows it.
type stamp struct {
	ISO   string // for the browser, which shows it in its own zone
	Text  string // in the configured zone: 03:12, 20 Nov 03:12
	Clock string // with seconds, where Text is of the same day
	Full  string
	Ago   string // how long ago, or until then
}

func newStamp(t, now time.Time, loc *time.Location) stamp {
	if t.IsZero() {
		return stamp{}
	}
	t, now = t.In(loc), now.In(loc)
	layout, clock := "2006-01-02 15:04", "2006-01-02 15:04"
	switch {
	case t.Format(time.DateOnly) == now.Format(time.DateOnly):
		layout, clock = "15:04", time.TimeOnly
	case t.Year() == now.Year():
		layout, clock = "2 Jan 15:04", "2 Jan 15:04"
	}
	return stamp{
		ISO:   t.UTC().Format(time.RFC3339),
		Text:  t.Format(layout),
		Clock: t.Format(clock),
		Full:  t.Format("Mon 2 Jan 2006 15:04:05 MST"),
		Ago:   lasting(now.Sub(t).Abs()),
	}
}
