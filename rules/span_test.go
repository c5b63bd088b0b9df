package rules

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/common/model"
)

// Lengths of time are written as Prometheus writes them, but never in weeks
// or years.
func TestSpanAgainstPrometheus(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		d := time.Duration(r.Int64N(int64(400*day)) >> r.IntN(50)).Truncate(time.Millisecond)
		want := model.Duration(d).String()
		if n := int(d / day); d%day == 0 && n > 0 {
			continue // below
		}
		if got := span(d); got != want {
			t.Fatalf("%d: %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{7 * day: "7d", 365 * day: "365d", 36 * hour: "1d12h", 54*time.Minute + 59999*time.Millisecond: "54m59s999ms", 0: "0s"} {
		if got := span(d); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
