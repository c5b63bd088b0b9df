package localtime

import (
	"testing"
	"time"
)

func TestFirstInstant(t *testing.T) {
	for _, c := range []struct{ zone, reading, want string }{
		{"UTC", "2026-11-21T02:30", "2026-11-21T02:30"},
		{"Asia/Shanghai", "2026-11-21T02:30", "2026-11-20T18:30"},
		{"America/New_York", "2026-03-08T02:30", "2026-03-08T07:00"},    // the hour that is left out: its end
		{"America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"},    // the hour that comes twice: the first
		{"Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-03T15:30"}, // half an hour is left out
		{"Pacific/Apia", "2011-12-30T12:00", "2011-12-30T10:00"},        // a whole day is
	} {
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		const layout = "2006-01-02T15:04"
		reading, err := time.Parse(layout, c.reading)
		if err != nil {
			t.Fatal(err)
		}
		got := FirstInstant(reading, loc)
		if got.Format(layout) != c.want {
			t.Errorf("%s in %s: %s, want %s", c.reading, c.zone, got.Format(layout), c.want)
		}
		if Reading(got, loc).Before(reading) {
			t.Errorf("%s in %s: the clock shows %s", c.reading, c.zone, Reading(got, loc))
		}
	}
}
