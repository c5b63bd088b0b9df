package explain

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
)

// Span is a length of time. In JSON it is seconds.
type Span time.Duration

// MarshalJSON writes seconds, to the millisecond.
func (d Span) MarshalJSON() ([]byte, error) {
	return json.Marshal(float64(time.Duration(d).Milliseconds()) / 1000)
}

// UnmarshalJSON reads seconds.
func (d *Span) UnmarshalJSON(b []byte) error {
	seconds, err := strconv.ParseFloat(string(b), 64)
	*d = Span(seconds * float64(time.Second))
	return err
}

// String returns it in two units at most, such as 52s, 8m38s, 1h5m or 2d14h.
func (d Span) String() string {
	const day = 24 * time.Hour
	t := time.Duration(d)
	switch {
	case t < 0:
		return "-" + (-d).String()
	case t.Round(100*time.Millisecond) < time.Minute:
		return strconv.FormatFloat(t.Round(100*time.Millisecond).Seconds(), 'g', 3, 64) + "s"
	case t.Round(time.Second) < time.Hour:
		return units(t.Round(time.Second), time.Minute, "m", time.Second, "s")
	case t.Round(time.Minute) < day:
		return units(t.Round(time.Minute), time.Hour, "h", time.Minute, "m")
	}
	return units(t.Round(time.Hour), day, "d", time.Hour, "h")
}

func units(t, large time.Duration, big string, small time.Duration, little string) string {
	text := fmt.Sprintf("%d%s", t/large, big)
	if rest := t % large / small; rest > 0 {
		text += fmt.Sprintf("%d%s", rest, little)
	}
	return text
}

// Decimal writes a number exactly where it has an end, such as 0.0144, and
// else to six digits after "≈".
func Decimal(r *big.Rat) string {
	if places, finite := r.FloatPrec(); finite && places <= 20 {
		return r.FloatString(places)
	}
	f, _ := r.Float64()
	return "≈" + strconv.FormatFloat(f, 'g', 6, 64)
}

// Percent writes a share in percent as Decimal does.
func Percent(r *big.Rat) string {
	return Decimal(new(big.Rat).Mul(r, big.NewRat(100, 1))) + "%"
}

// Ratio writes a share of events in percent, to four digits, such as 1.44%.
func Ratio(f float64) string { return strconv.FormatFloat(100*f, 'g', 4, 64) + "%" }

// Count writes a number of events to three digits and with its thousands
// apart, such as 43,200.
func Count(f float64) string {
	if f < 1000 {
		return strconv.FormatFloat(f, 'g', 3, 64)
	}
	digits := strconv.FormatFloat(f, 'f', 0, 64)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}

func length(d time.Duration) string { return slo.FormatDuration(d) }
