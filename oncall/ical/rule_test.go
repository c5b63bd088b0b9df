package ical

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/teambition/rrule-go"
)

// The library is the oracle wherever it comes to an end.
func TestRulesComeWhenTheLibrarySays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		start := time.Date(2024, 1, 1, 9, 30, 0, 0, time.UTC).AddDate(0, 0, r.IntN(800))
		text := randomRule(r)
		mine, err := parseRule(text, when{reading: start, loc: time.UTC})
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		from := start.AddDate(0, 0, r.IntN(900)-100)
		to := from.AddDate(0, 0, r.IntN(500))
		if diff := cmp.Diff(library(t, text, start, from, to), mine.between(from, to)); diff != "" {
			t.Errorf("seed %d: %s from %s, asked from %s to %s: %s", seed, text, start, from, to, diff)
		}
	}
}

func library(t *testing.T, text string, start, from, to time.Time) (all []time.Time) {
	t.Helper()
	o, err := rrule.StrToROption(text)
	if err != nil {
		t.Fatal(err)
	}
	o.Dtstart = start
	rule, err := rrule.NewRRule(*o)
	if err != nil {
		t.Fatal(err)
	}
	next := rule.Iterator()
	for {
		at, ok := next()
		if !ok || !at.Before(to) {
			return all
		}
		if !at.Before(from) {
			all = append(all, at)
		}
	}
}

// randomRule returns a rule that comes again and again.
func randomRule(r *rand.Rand) string {
	freq := []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}[r.IntN(4)]
	parts := []string{"FREQ=" + freq, fmt.Sprintf("INTERVAL=%d", 1+r.IntN(4)), "WKST=" + []string{"MO", "SU"}[r.IntN(2)]}
	if r.IntN(3) == 0 {
		parts = append(parts, fmt.Sprintf("COUNT=%d", 1+r.IntN(30)))
	}
	if r.IntN(3) == 0 {
		parts = append(parts, fmt.Sprintf("BYMONTH=%d,%d", 1+r.IntN(12), 1+r.IntN(12)))
	}
	days := []string{"MO", "TU", "WE", "TH", "FR", "SA", "SU"}
	switch r.IntN(3) {
	case 0:
		nth := ""
		if freq == "MONTHLY" || freq == "YEARLY" {
			nth = []string{"", "1", "-1", "2"}[r.IntN(4)]
		}
		parts = append(parts, "BYDAY="+nth+days[r.IntN(7)]+","+nth+days[r.IntN(7)]) // the library never comes to a mixture
		if freq == "MONTHLY" && r.IntN(2) == 0 {
			parts = append(parts, "BYSETPOS="+[]string{"1", "-1", "2"}[r.IntN(3)])
		}
	case 1:
		if freq != "WEEKLY" { // RFC 5545 forbids it there
			parts = append(parts, fmt.Sprintf("BYMONTHDAY=%d,%d", 1+r.IntN(28), -1-r.IntN(5)))
		}
	}
	return strings.Join(parts, ";")
}

func TestARuleThatNeverComesEnds(t *testing.T) {
	r, err := parseRule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", when{reading: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), loc: time.UTC})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.between(time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)); got != nil {
		t.Errorf("it comes at %v", got)
	}
}
