package alert

import (
	"fmt"
	"strings"
)

// Level says how soon somebody must look.
type Level uint8

// The levels, most urgent first. The zero Level is none of them.
const (
	P1   Level = iota + 1 // a core path fails: escalate at once
	P2                    // users notice: respond fast
	P3                    // potential risk or a capacity threshold: the same day
	Info                  // a trend for the weekly review: never wakes anyone
)

var levelNames = map[Level]string{P1: "P1", P2: "P2", P3: "P3", Info: "Info"}

// String returns "P1", "P2", "P3" or "Info", and "" for the zero Level.
func (l Level) String() string { return levelNames[l] }

// Outranks tells whether l is more urgent than other. Every level outranks
// the zero Level.
func (l Level) Outranks(other Level) bool {
	return l != 0 && (other == 0 || l < other)
}

// ParseLevel reads a level by its name, in any case.
func ParseLevel(s string) (Level, error) {
	for l, name := range levelNames {
		if strings.EqualFold(s, name) {
			return l, nil
		}
	}
	return 0, fmt.Errorf("level %q is none of P1, P2, P3, Info", s)
}

// MarshalText writes the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level by its name; no text is the zero Level.
func (l *Level) UnmarshalText(b []byte) (err error) {
	if len(b) == 0 {
		*l = 0
		return nil
	}
	*l, err = ParseLevel(string(b))
	return err
}
