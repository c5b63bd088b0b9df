package openslo

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

var shorthandPattern = regexp.MustCompile(`^([0-9]{1,6})([mhdwMQY])$`)

const shorthandHint = "a number and one of m (minutes), h, d, w, M (months), Q and Y, such as 28d"

// shorthand is a duration as OpenSLO writes it (Specification, "duration-
// shorthand"): a number and a unit, in which m is minutes and M months.
type shorthand struct {
	count int
	unit  byte
}

func parseShorthand(text string) (shorthand, error) {
	m := shorthandPattern.FindStringSubmatch(text)
	if m == nil {
		return shorthand{}, fmt.Errorf("%q is not a duration", foreign.Clip(text))
	}
	n, err := strconv.Atoi(m[1])
	if err != nil || n == 0 {
		return shorthand{}, fmt.Errorf("%q is not above 0", foreign.Clip(text))
	}
	return shorthand{count: n, unit: m[2][0]}, nil
}

// months returns how many months a duration has that is of months, quarters or
// years, else 0.
func (s shorthand) months() int {
	switch s.unit {
	case 'M':
		return s.count
	case 'Q':
		return 3 * s.count
	case 'Y':
		return 12 * s.count
	default:
		return 0
	}
}

// length returns the duration. A month has 30 days, a quarter 90 and a year
// 365, as in OpenSLO's own tools.
func (s shorthand) length() time.Duration {
	const day = 24 * time.Hour
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day, 'M': 30 * day, 'Q': 90 * day, 'Y': 365 * day}[s.unit]
	return time.Duration(s.count) * unit
}

// native returns the duration as the native format writes it.
func (s shorthand) native() string { return slo.FormatDuration(s.length()) }
