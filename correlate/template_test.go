package correlate

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTemplate(t *testing.T) {
	for _, c := range []struct{ message, want string }{
		{"connection refused", "connection refused"},
		{"HikariPool-1 - Connection is not available, request timed out after 30001ms.", "HikariPool-<*> - Connection is not available, request timed out after <*>."},
		{"payment 4711 of user_42 failed", "payment <*> of user_<*> failed"},
		{"GET /api/v1/orders/98765/items?id=5 took 3.25s", "GET /api/v1/orders/<*>/items?id=<*> took <*>"},
		{"dial tcp 10.0.3.17:5432: i/o timeout", "dial tcp <*>: i/o timeout"},
		{"dial tcp [fe80::1%eth0]:443 and ::1 and 2001:db8::8a2e, done", "dial tcp [<*>%eth<*>]:<*> and <*> and <*>, done"},
		{"order 7b3c9a52-deaf-4bad-face-1234567890ab lost", "order <*> lost"},
		{"trace 4bf92f3577b34da6a3ce929d0e0e4736 at 0xc000123abc", "trace <*> at <*>"},
		{"2026-11-21T03:04:05.678Z ERROR [worker-3] boom", "<*> ERROR [worker-<*>] boom"},
		{"2026/11/21 03:04:05 boom", "<*>/<*>/<*> <*> boom"},
		{`duplicate key "orders_pkey" for 'a b' in ` + "`t`", `duplicate key "<*>" for '<*>' in ` + "`<*>`"},
		{`it's not the user's fault`, `it's not the user's fault`},
		{`{"error":"timeout","code":5}`, `{"error":"<*>","code":<*>}`},
		{"offset -17 of [1,22,333]", "offset <*> of [<*>]"},
		{"pod payment-service-7d9f8b6c5-x2k4p gone", "pod payment-service-<*> gone"},
		{"log4j and OAuth2Token stay", "log4j and OAuth2Token stay"},
		{"订单123支付失败", "订单<*>支付失败"},
		{"\n\n  first line 1  of\ttwo \r\n\tat com.Foo(Foo.java:12)", "first line <*> of two"},
		{"bell\a and esc\x1b[31m", "bell and esc[<*>"},
		{"bad \xff\xfe byte", "bad ? byte"},
		{strings.Repeat("x", 70), "<*>"},
		{"", ""},
	} {
		if got := Template(c.message); got != c.want {
			t.Errorf("Template(%q)\n got %q\nwant %q", c.message, got, c.want)
		}
	}
}

func TestTemplateIsBounded(t *testing.T) {
	huge := strings.Repeat("a 1 ", 1<<20)
	got := Template(huge)
	if len(got) > 3*maxTemplated || !strings.HasSuffix(got, Hole) {
		t.Fatalf("template of %d bytes has %d, ends in %q", len(huge), len(got), got[len(got)-5:])
	}
}

func TestExpressionMatchesOnlyTheWholeMessage(t *testing.T) {
	re := regexp.MustCompile(Expression("timed out after <*> (pool)"))
	for message, want := range map[string]bool{
		"timed out after 30s (pool)":                true,
		"timed out  after 1 (pool)\n\tat Foo.bar()": true,
		"timed out after 30s (pool), again":         false,
		"it timed out after 30s (pool)":             false,
		"timed out after\n30s (pool)":               false,
	} {
		if re.MatchString(message) != want {
			t.Errorf("matches %q: %t, want %t", message, !want, want)
		}
	}
}

// FuzzParse checks, for any line, what everything after it relies on: valid,
// bounded text, and a template whose expression matches the message that it
// was made of, unless characters were left out of it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"message":"a 1","level":"ERROR","traceId":"t","errorCode":500,"pod":"p"}`,
		`{"log":"{\"message\":\"inner 7\"}\n","stream":"stderr"}`,
		`{"message":"cut`, `{"a":` + strings.Repeat(`[`, 20000), `{"message":null,"msg":{"deep":[1]}}`,
		`level=error msg="a \"b\" 12" trace_id=x`, "msg=\x00\xff", "plain 10.0.0.1 ::1 'x' \"y", "<*> <*>", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := Parse(line)
		for _, s := range []string{r.Message, r.Level, r.Code, r.TraceID, r.Cluster, r.Pod} {
			if !utf8.ValidString(s) || len(s) > maxMessage {
				t.Fatalf("%d bytes, valid %t: %q", len(s), utf8.ValidString(s), s)
			}
		}
		template := Template(r.Message)
		if !utf8.ValidString(template) || len(template) > 3*maxTemplated {
			t.Fatalf("template of %d bytes: %q", len(template), template)
		}
		re, err := regexp.Compile(Expression(template))
		if err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(r.Message, func(r rune) bool { return r == 0x7F || r < ' ' && !strings.ContainsRune("\t\r\n", r) }) {
			return
		}
		if !re.MatchString(r.Message) {
			t.Fatalf("%q does not match its own template %q", r.Message, template)
		}
	})
}
