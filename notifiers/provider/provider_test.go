package provider

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPaceByTheHour(t *testing.T) {
	now := time.Unix(0, 0)
	p := NewPace(func() time.Time { return now }, Limit{30, time.Minute}, Limit{1000, time.Hour})
	for i := range 1000 {
		if _, wait := p.Take("a"); wait != 0 {
			t.Fatalf("message %d waits %s", i, wait)
		}
		now = now.Add(3 * time.Second)
	}
	if _, wait := p.Take("a"); wait != 10*time.Minute {
		t.Errorf("waits %s, want 10m", wait)
	}
	give, wait := p.Take("b")
	if wait != 0 {
		t.Errorf("another member waits %s", wait)
	}
	give()
	give()
	if n := len(p.sent["b"]); n != 0 {
		t.Errorf("%d messages count that were given back", n)
	}
	p.Block("b", time.Minute)
	if _, wait := p.Take("b"); wait != time.Minute {
		t.Errorf("waits %s when blocked", wait)
	}
	now = now.Add(time.Minute)
	if _, wait := p.Take("b"); wait != 0 {
		t.Errorf("waits %s after it was blocked", wait)
	}
}

func TestWhatIsInDoubt(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&Refusal{Status: 500}, true},
		{&Refusal{Status: 429}, false},
		{&Refusal{Code: -1}, true},
		{&Refusal{Code: 45009}, false},
		{&Unsent{&Refusal{Status: 500}}, false},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, false},
		{&net.OpError{Op: "read", Err: errors.New("reset")}, true},
		{nil, false},
	} {
		if got := InDoubt(tt.err); got != tt.want {
			t.Errorf("%v: got %v", tt.err, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"7": 7 * time.Second, "": 0, "-3": 0, "99999999": time.Hour, "soon": 0,
		"Sat, 21 Nov 2026 03:00:30 GMT": 30 * time.Second, "Sat, 21 Nov 2026 02:00:30 GMT": 0,
	} {
		if got := RetryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestPlain(t *testing.T) {
	if got := Plain("no\x1b[31m\n, hint: [123], from ip: 1.2.3.4"); got != "no[31m" {
		t.Errorf("got %q", got)
	}
	if got := Plain(strings.Repeat("长", 500)); len([]rune(got)) != 120 {
		t.Errorf("%d characters", len([]rune(got)))
	}
}
