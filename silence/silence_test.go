package silence

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) // a Saturday

func matchers(t *testing.T, texts ...string) labels.Matchers {
	t.Helper()
	ms, err := ParseMatchers(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

func TestStates(t *testing.T) {
	s := Silence{StartsAt: noon, EndsAt: noon.Add(time.Hour)}
	for after, want := range map[time.Duration]State{-1: Pending, 0: Active, time.Hour - 1: Active, time.Hour: Expired} {
		until, ok := s.Covers(noon.Add(after))
		if got := s.State(noon.Add(after)); got != want || ok != (want == Active) || ok && !until.Equal(s.EndsAt) {
			t.Errorf("%s after its start: %s, covers until %s %t", after, got, until, ok)
		}
	}
}

// A span is cut by the end of its silence, and the silence's start.
func TestRecurrenceWithinItsSilence(t *testing.T) {
	s := Silence{
		StartsAt: noon, EndsAt: noon.Add(24 * time.Hour),
		Recurrence: &Recurrence{Cron: "0 11 * * *", Duration: 2 * time.Hour},
	}
	for after, want := range map[time.Duration]time.Duration{
		-time.Minute:               0, // in the span, before the start
		0:                          time.Hour,
		time.Hour:                  0,
		23 * time.Hour:             24 * time.Hour,
		24*time.Hour - time.Second: 24 * time.Hour,
		24 * time.Hour:             0,
	} {
		until, ok := s.Covers(noon.Add(after))
		if ok != (want != 0) || ok && !until.Equal(noon.Add(want)) {
			t.Errorf("%s after noon: until %s, %t", after, until, ok)
		}
	}
	for after, want := range map[time.Duration]time.Duration{-time.Hour: 0, 0: 23 * time.Hour, time.Hour: 23 * time.Hour, 23 * time.Hour: -1} {
		from, ok := s.Next(noon.Add(after))
		if ok != (want >= 0) || ok && !from.Equal(noon.Add(want)) {
			t.Errorf("%s after noon: next from %s, %t", after, from, ok)
		}
	}
}

// A recurrence without an end in sight is not looked at to its end.
func TestEndlessRecurrence(t *testing.T) {
	r := &Recurrence{Cron: "* * * * *", Duration: MaxDuration}
	s := Silence{StartsAt: noon, EndsAt: noon.Add(MaxSpan), Recurrence: r}
	if until, ok := s.Covers(noon); !ok || until.Before(noon.Add(time.Minute)) || !until.Before(s.EndsAt) {
		t.Errorf("until %s, %t", until, ok)
	}
}

func TestInvalidSilences(t *testing.T) {
	good := func() Silence {
		return Silence{Matchers: matchers(t, "a=b"), StartsAt: noon, EndsAt: noon.Add(time.Hour), CreatedBy: "lin"}
	}
	if err := good().Validate(); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Silence){
		"at least one matcher is required": func(s *Silence) { s.Matchers = nil },
		"65 matchers": func(s *Silence) {
			s.Matchers = matchers(t, strings.Split(strings.Repeat("a=b ", 64), " ")[:64]...)
			s.Matchers = append(s.Matchers, s.Matchers[0])
		},
		"silences everything":          func(s *Silence) { s.Matchers = matchers(t, `a=""`, `b=~".*"`, `c!="x"`) },
		"is no label name":             func(s *Silence) { s.Matchers[0].Name = "" },
		"no UTF-8, or holds a NUL":     func(s *Silence) { s.Matchers[0].Value = "a\x00" },
		"start and its end":            func(s *Silence) { s.StartsAt = time.Time{} },
		"must be after its start":      func(s *Silence) { s.EndsAt = s.StartsAt },
		"ten years":                    func(s *Silence) { s.EndsAt = s.StartsAt.AddDate(11, 0, 0) },
		"must be named":                func(s *Silence) { s.CreatedBy = "" },
		"the comment must be UTF-8":    func(s *Silence) { s.Comment = "\xff" },
		`annotation "k" must be UTF-8`: func(s *Silence) { s.Labels = map[string]string{"k": strings.Repeat("v", MaxMatcher+1)} },
		"from a minute to 31 days":     func(s *Silence) { s.Recurrence = &Recurrence{Cron: "0 0 * * *"} },
		"time zone \"Mars/Base\"": func(s *Silence) {
			s.Recurrence = &Recurrence{Cron: "0 0 * * *", Duration: time.Hour, Timezone: "Mars/Base"}
		},
		"time zone \"Local\"": func(s *Silence) {
			s.Recurrence = &Recurrence{Cron: "0 0 * * *", Duration: time.Hour, Timezone: "Local"}
		},
		"must be five fields":   func(s *Silence) { s.Recurrence = &Recurrence{Cron: "CRON_TZ=Asia/Tokyo", Duration: time.Hour} },
		"no cron specification": func(s *Silence) { s.Recurrence = &Recurrence{Cron: "0 25 * * *", Duration: time.Hour} },
		"never comes":           func(s *Silence) { s.Recurrence = &Recurrence{Cron: "0 0 30 2 *", Duration: time.Hour} },
	} {
		s := good()
		change(&s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestMatchersAsTexts(t *testing.T) {
	for text, want := range map[string]string{
		`a="b"`:              `a="b"`,
		`a = b`:              `a="b"`,
		`a!="b"`:             `a!="b"`,
		`a=~"b|c"`:           `a=~"b|c"`,
		`a!~b.*`:             `a!~"b.*"`,
		`a="say \"no\"\\"`:   `a="say \"no\"\\"`,
		`"service.name"=x`:   `service.name="x"`,
		`"a b"="c"`:          `"a b"="c"`,
		`服务="支付"`:            `服务="支付"`,
		`url=http://x/y?z=1`: `url="http://x/y?z=1"`,
	} {
		m, err := ParseMatcher(text)
		if err != nil || m.String() != want {
			t.Errorf("%s became %v, want %s: %v", text, m, want, err)
			continue
		}
		if again, err := ParseMatcher(m.String()); err != nil || again.Name != m.Name || again.Value != m.Value || again.Type != m.Type {
			t.Errorf("%s is read as %v: %v", m, again, err)
		}
	}
	for _, text := range []string{"", "a", "=b", `a=~"("`, `a="b`, "a\xff=b", "a=\x00", strings.Repeat("a", MaxMatcher) + "=b"} {
		if m, err := ParseMatcher(text); err == nil {
			t.Errorf("%q became %v", text, m)
		}
	}
	if got := Texts(Exact(model.LabelSet{"b": "2", "a": `"`})); !reflect.DeepEqual(got, []string{`a="\""`, `b="2"`}) {
		t.Errorf("got %q", got)
	}
}

const weekends = `{"matchers": ["service=\"batch\"", "cluster=~\"a|b\""], "ends_at": "2027-01-01T00:00:00Z",
	"recurrence": {"cron": "0 22 * * 5", "duration": "2d", "timezone": "Asia/Shanghai"}, "comment": "batch runs"}`

func TestParse(t *testing.T) {
	s, err := Parse([]byte(weekends), "Lin Yue", noon)
	if err != nil {
		t.Fatal(err)
	}
	if !s.StartsAt.Equal(noon) || s.CreatedBy != "Lin Yue" || s.Recurrence.Duration != 48*time.Hour || s.Recurrence.compiled == nil {
		t.Errorf("got %+v", s)
	}
	// Friday 22:00 in Shanghai is 14:00 in UTC: noon of Saturday is within.
	if until, ok := s.Covers(noon); !ok || !until.Equal(noon.Add(26*time.Hour)) {
		t.Errorf("until %s, %t", until, ok)
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(text, "", noon)
	if err != nil || again.CreatedBy != s.CreatedBy || !reflect.DeepEqual(Texts(again.Matchers), Texts(s.Matchers)) || *again.Recurrence.compiled.spec != *s.Recurrence.compiled.spec {
		t.Errorf("%s is read as %+v: %v", text, again, err)
	}
	for body, want := range map[string]string{
		``:                      "unexpected end",
		`[]`:                    "cannot unmarshal",
		`{"matcher": []}`:       `unknown field "matcher"`,
		`{"matchers": ["a"]}`:   "is no matcher",
		`{"matchers": ["a=b"]}`: "its start and its end",
		`{"matchers": ["a=b"], "ends_at": "2026-11-21T12:00:00Z"}`:                                      "after its start",
		`{"matchers": ["a=b"], "starts_at": "2026-11-01T00:00:00Z", "ends_at": "2026-11-21T12:00:00Z"}`: "its end is past",
		strings.Replace(weekends, `"2d"`, `"two days"`, 1):                                              "none, such as 2h",
		strings.Replace(weekends, `"2d"`, `172800`, 1):                                                  "cannot unmarshal",
		strings.Replace(weekends, `"timezone"`, `"zone"`, 1):                                            `unknown field "zone"`,
	} {
		if _, err := Parse([]byte(body), "lin", noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", body, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{weekends, `{}`, `{"matchers": ["a=~\"(\""]}`, `{"matchers": ["a=b"], "ends_at": "9999-12-31T23:59:59Z"}`, `{"recurrence": {"cron": "TZ= ", "duration": "1m"}}`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := Parse(body, "lin", noon)
		if err != nil {
			return
		}
		s.Covers(noon)
		s.Next(noon)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text, "", noon); err != nil {
			t.Fatalf("%s is refused: %v", text, err)
		}
	})
}

func FuzzParseMatcher(f *testing.F) {
	for _, s := range []string{`a="b"`, `"a b"!~'c'`, `a=~"(?i)x{2,}"`, "a=`b`", "=", "{a=b}", "a=\\", "a=\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseMatcher(text)
		if err != nil {
			return
		}
		if again, err := ParseMatcher(m.String()); err != nil || again.Name != m.Name || again.Value != m.Value || again.Type != m.Type {
			t.Fatalf("%q became %s, which is read as %v: %v", text, m, again, err)
		}
	})
}

func BenchmarkCovers(b *testing.B) {
	r := &Recurrence{Cron: "0 22 * * *", Duration: 8 * time.Hour, Timezone: "Europe/Berlin"}
	if err := r.Compile(); err != nil {
		b.Fatal(err)
	}
	s := Silence{StartsAt: noon.AddDate(-1, 0, 0), EndsAt: noon.AddDate(1, 0, 0), Recurrence: r}
	for b.Loop() {
		s.Covers(noon)
	}
}
