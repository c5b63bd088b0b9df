package rules

import (
	"math/rand/v2"
	"testing"
	"time"
)

// Whatever the length of a window, its parts are it, without a gap, in an
// order in which the newest comes first, and each can be recorded.
func TestLayoutOfAnyLength(t *testing.T) {
	lengths := []time.Duration{
		6 * time.Minute, hour, hour + time.Minute, 61 * time.Minute, 64 * time.Minute, 65 * time.Minute, 84 * time.Minute,
		2 * hour, 16*hour + 48*time.Minute, 25*hour + time.Minute, 36 * hour, 7 * day, 28 * day, 30 * day, 90 * day, 400 * day,
	}
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		lengths = append(lengths, time.Duration(5+dice.IntN(400*24*60-5))*time.Minute)
	}
	for _, length := range lengths {
		parts := layout(length)
		end := time.Duration(0)
		for _, p := range parts {
			if p.offset != end || p.length >= length || p.length <= edge-1 {
				t.Errorf("%s: part %v after %s", length, p, end)
			}
			if p.length < hour && layout(p.length) != nil {
				t.Errorf("%s: its rest %s has no edge", length, p.length)
			}
			end += p.length
		}
		if len(parts) > 0 && end != length {
			t.Errorf("%s: its parts are %s", length, end)
		}
		if len(parts) == 0 && length > 2*hour {
			t.Errorf("%s is read from bursts alone", length)
		}
	}
}
