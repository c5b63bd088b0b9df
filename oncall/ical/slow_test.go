package ical
import ("testing";"time";"strings")
func FuzzSlow(f *testing.F) {
	f.Add(calendar(event("DTSTART;TZID=Asia/Shanghai:20261101T080000", "DURATION:PT1H", "RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=9", "EXDATE:20261102T000000Z")))
	f.Add(calendar(event("DTSTART;VALUE=DATE:20240229", "RRULE:FREQ=YEARLY", "RDATE;VALUE=PERIOD:20261101T000000Z/PT1H")))
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		done := make(chan struct{})
		go func() { defer close(done)
		s, err := Read(strings.NewReader(text), time.UTC)
		if err != nil { return }
		s.Between(from, from.AddDate(1, 0, 0)) }()
		select { case <-done: case <-time.After(1500*time.Millisecond): t.Fatalf("slow %q", text) }
	})
}
