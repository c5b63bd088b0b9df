package web

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

var (
	tags  = regexp.MustCompile(`<[^>]*>`)
	space = regexp.MustCompile(`\s+`)
)

// read returns the words of a page as a reader sees them.
func (h house) read(t *testing.T, target string) string {
	t.Helper()
	w := h.ask(t, http.MethodGet, target, "")
	wantCode(t, w, http.StatusOK)
	return words(w.Body.String())
}

func words(html string) string {
	_, html, _ = strings.Cut(html, "<body>")
	return space.ReplaceAllString(tags.ReplaceAllString(html, " "), " ")
}

func TestBoard(t *testing.T) {
	h := newHouse(t, nil)
	acked := alert.Incident{
		ID: 43, Title: "orders are slow", Level: alert.P2, Status: alert.Acknowledged, AckedBy: "Wei Chen", Stale: true,
		Since: start.Add(-65 * time.Minute),
	}
	h.rooms.open = []alert.Incident{acked, outage()}
	h.rooms.standings = Standings{
		At:       start,
		Warnings: []string{"Cluster tencent does not answer."},
		SLOs: []SLO{
			{Service: "user-center", Name: "login", Objective: "99.9", Window: "7d", Standings: []page.Standing{{Cluster: "beijing", BurnRate: 0.2, BudgetLeft: 0.9}}},
			{Service: "order-service", Name: "latency", Objective: "99", Window: "30d", Critical: true, Trend: []float64{1, 0.5, nan(), -0.125}, Standings: []page.Standing{
				{Cluster: "beijing", BurnRate: 6.81, BudgetLeft: -0.127}, {Cluster: "hangzhou", BurnRate: 0.1, BudgetLeft: 0.61}, {Cluster: "tencent", BurnRate: nan(), BudgetLeft: nan()},
			}},
		},
	}
	h.rooms.watches = []wire.Watch{
		{Schedule: "payments", Now: wire.Shift{User: "lin", FullName: "Lin Yue", Until: start.Add(6 * time.Hour), Override: true}, Next: wire.Shift{User: "wei"}},
		{Schedule: "weekend", Now: wire.Shift{Until: start.Add(time.Hour)}},
	}
	text := h.read(t, "/")
	wantIn(t, text,
		"1 open P1", "1 P2 · 1 not acknowledged · 1 of 2 budgets overspent",
		"Cluster tencent does not answer.",
		"payments burn their budget payment-service / payment-availability hangzhou 9 min since 03:12 not acknowledged",
		"orders are slow", "1 h 05 min since 02:16 acknowledged by Wei Chen · stale",
		"payments Lin Yue override until 09:21 then wei", "weekend Nobody until 04:21",
		"order-service latency core 99% 30d −12.7% beijing −12.7% hangzhou 61.0% tencent – 6.8× beijing",
		"user-center login 99.9% 7d 90.0% beijing 90.0% 0.2×",
		"Midwatch 1.2.3",
	)
	if strings.Index(text, "payments burn") > strings.Index(text, "orders are slow") {
		t.Error("the P2 comes before the P1")
	}
	if strings.Index(text, "order-service latency") > strings.Index(text, "user-center login") {
		t.Error("the overspent SLO comes after the healthy one")
	}
	wantIn(t, h.ask(t, http.MethodGet, "/", "").Body.String(), `href="/incidents/42"`, `<svg class="spark bad"`, `href="https://example.com/source/abc"`, "<title>1 open P1 ")
}

func TestStateLine(t *testing.T) {
	healthy := []SLO{{Standings: []page.Standing{{BudgetLeft: 0.5}, {BudgetLeft: nan()}}}}
	p3 := alert.Incident{Level: alert.P3, Status: alert.Acknowledged}
	for name, c := range map[string]struct {
		open           []alert.Incident
		blind, partial bool
		want           state
	}{
		"quiet":     {want: state{Text: "All quiet", Detail: "1 SLO, no budget overspent"}},
		"partial":   {partial: true, want: state{Text: "Quiet, as far as is known", Detail: "1 SLO, no budget overspent", Tone: low}},
		"blind":     {blind: true, partial: true, want: state{Text: "State unknown", Detail: "the incidents cannot be read", Tone: bad}},
		"two P3":    {open: []alert.Incident{p3, p3}, want: state{Text: "2 open P3", Detail: "all acknowledged · 1 SLO, no budget overspent"}},
		"P3 and P2": {open: []alert.Incident{p3, {Level: alert.P2, Status: alert.Open}}, want: state{Text: "1 open P2", Detail: "1 P3 · 1 not acknowledged · 1 SLO, no budget overspent", Tone: low}},
	} {
		if got := newState(c.open, healthy, c.blind, c.partial); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestBoardWithoutFigures(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.open = nil
	wantIn(t, h.read(t, "/"), "All quiet", "no SLOs are known", "No SLO is configured.", "No schedule is configured.")
	h.rooms.fail = errInside
	wantIn(t, h.read(t, "/"), "State unknown", "The incidents cannot be read", "figures cannot be read")
}

func TestPagesAreBounded(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.open = nil
	for i := range maxIncidents + 3 {
		h.rooms.open = append(h.rooms.open, alert.Incident{ID: int64(i + 1), Title: "x", Level: alert.P3})
	}
	for range maxSLOs + 4 {
		h.rooms.standings.SLOs = append(h.rooms.standings.SLOs, SLO{Service: "s"})
	}
	wantIn(t, h.read(t, "/"), "203 open P3", "and 3 more", "and 4 more")

	s := &h.rooms.story
	s.Incident.Alerts, s.Incident.Title = nil, strings.Repeat("我", 100_000)
	for i := range maxAlerts + 5 {
		s.Incident.Alerts = append(s.Incident.Alerts, burning(fmt.Sprint("cluster-", i)))
	}
	for range maxEvents + 6 {
		s.Events = append(s.Events, alert.Event{At: start, Text: "again"})
	}
	s.Evidence[0].Patterns[0].Sample = strings.Repeat("a", 1<<20)
	w := h.ask(t, http.MethodGet, "/incidents/42", "")
	wantIn(t, words(w.Body.String()), "and 5 more", "7 earlier events are not shown")
	if w.Body.Len() > 300_000 {
		t.Errorf("the page has %d bytes", w.Body.Len())
	}
}

func TestIncidentPage(t *testing.T) {
	h := newHouse(t, nil)
	text := h.read(t, "/incidents/42")
	wantIn(t, text,
		"P1 Incident 42 not acknowledged payments burn their budget Since 03:12 9 min ago Service payment-service payment-availability Cluster hangzhou Objective 99.95% over 30d",
		"Payments succeed.",
		"hangzhou 40.0% 800× 18.3% spent in 9 min at this rate beijing 0.010% 0.2× 96.0%",
		"Evidence: logs 15 min against the 15 min before",
		"2\u202f317 ×579 4 before TimeoutException: pool &lt;*&gt; TimeoutException: pool payments-db hangzhou pod payment-service-7d9c trace 4bf92f3577b34da6",
		"03:13:40 Paged Lin Yue by wecom",
		"SLOErrorBudgetBurn firing since 03:12 source cluster = hangzhou", "summary payments fail",
		"Acknowledge Resolve",
	)
	wantIn(t, h.ask(t, http.MethodGet, "/incidents/42", "").Body.String(),
		`href="https://runbooks.example.com/payments"`, `href="https://grafana.example.com/explore"`, `href="http://prometheus.example.com/graph"`,
		`<form method="post" action="/incidents/42">`, `type="password" required autocomplete="current-password"`)
}

func TestResolvedIncidentPage(t *testing.T) {
	h := newHouse(t, nil)
	i := &h.rooms.story.Incident
	i.Status, i.AckedBy, i.AckedAt = alert.Closed, "Lin Yue", start.Add(-5*time.Minute)
	i.ResolvedAt = start.Add(-2 * time.Minute)
	text := h.read(t, "/incidents/42")
	wantIn(t, text, "resolved", "Lasted 7 min from 03:12 to 03:19", "Acknowledged Lin Yue 03:16", "Resolved by its alerts 03:19")
	wantNotIn(t, text, "Token", "not acknowledged")
}

func TestIncidentWithLittleKnown(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.story = Story{
		Incident: alert.Incident{ID: 42, Key: "disk", Level: alert.P3, Status: alert.Open, Stale: true, Alerts: []alert.Alert{{}}},
		Evidence: []page.Evidence{{Source: "logs", Problem: "no answer within 3 s"}},
	}
	wantIn(t, h.read(t, "/incidents/42"), "disk", "none is named", "Silence is not recovery", "no answer within 3 s", "(no name)", "Nothing yet.")

	h.rooms.story = outageStory()
	h.rooms.story.SLO.Standings = nil
	wantIn(t, h.read(t, "/incidents/42"), "hangzhou – – –")
}

func TestHostileTextsAreEscaped(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	h := newHouse(t, nil)
	a := burning(evil)
	a.Labels["evil"], a.Labels[evil], a.Annotations["summary"] = evil, "x", evil
	a.GeneratorURL = "javascript:alert(1)"
	i := &h.rooms.story.Incident
	*i = alert.Incident{ID: 42, Key: evil, Service: evil, SLO: evil, Title: evil, Level: alert.P1, Status: alert.Acknowledged, AckedBy: evil, Alerts: []alert.Alert{a}}
	h.rooms.story.SLO = page.SLO{Description: evil, Objective: evil, Window: evil, Runbook: "JavaScript:alert(1)", Standings: []page.Standing{{Cluster: evil}}}
	h.rooms.story.Events[0].Text, h.rooms.story.Events[0].Actor = evil, evil
	h.rooms.story.Evidence = []page.Evidence{{Source: evil, Problem: evil, Link: "data:text/html," + evil, Patterns: []page.LogPattern{{Template: evil, Sample: evil, TraceID: evil, Cluster: evil, Pod: evil}}}}
	h.rooms.open = []alert.Incident{*i}
	h.rooms.standings = Standings{Warnings: []string{evil}, SLOs: []SLO{{Service: evil, Name: evil, Objective: evil, Window: evil, Runbook: "javascript:alert(1)", Standings: []page.Standing{{Cluster: evil}}}}}
	h.rooms.watches = []wire.Watch{{Schedule: evil, Now: wire.Shift{FullName: evil}, Next: wire.Shift{User: evil}}}
	for _, target := range []string{"/", "/incidents", "/incidents/42", "/incidents/" + url.PathEscape(evil)} {
		body := h.ask(t, http.MethodGet, target, "").Body.String()
		wantIn(t, body, "&lt;script&gt;")
		wantNotIn(t, strings.ToLower(body), "<script>", "<img", "javascript:", "data:text")
	}
}

func TestPagesNeedNothingFromElsewhere(t *testing.T) {
	h := newHouse(t, nil)
	inline := regexp.MustCompile(`(?i)\sstyle=|\son[a-z]+=|<style|<script>`)
	loaded := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"|url\(([^)"]+)\)`)
	for _, target := range []string{"/", "/incidents", "/incidents/42"} {
		body := h.ask(t, http.MethodGet, target, "").Body.String()
		if m := inline.FindString(body); m != "" {
			t.Errorf("%s: the policy blocks %q", target, m)
		}
		if n := len(loaded.FindAllString(body, -1)); n != 3 {
			t.Errorf("%s: loads %d files, want icon, style and script", target, n)
		}
		for _, m := range loaded.FindAllStringSubmatch(body, -1) {
			w := h.ask(t, http.MethodGet, m[1], "")
			wantCode(t, w, http.StatusOK)
			wantIn(t, w.Header().Get("Cache-Control"), "immutable")
			for _, font := range loaded.FindAllStringSubmatch(w.Body.String(), -1) {
				wantCode(t, h.ask(t, http.MethodGet, "/assets/"+font[2], ""), http.StatusOK)
			}
		}
	}
	wantCode(t, h.ask(t, http.MethodGet, "/assets/inter.LICENSE", ""), http.StatusNotFound)
	wantCode(t, h.ask(t, http.MethodGet, "/nothing", ""), http.StatusNotFound)
}

func TestForm(t *testing.T) {
	for name, c := range map[string]struct {
		form        url.Values
		fail        error
		code        int
		acted, said string
	}{
		"acknowledge":      {form: url.Values{"action": {"acknowledge"}, "token": {linsToken}, "by": {"x"}}, code: 303, acted: "ack by Lin Yue"},
		"resolve":          {form: url.Values{"action": {"resolve"}, "token": {sharedToken}, "by": {"Wei"}}, code: 303, acted: "resolve by Wei"},
		"no token":         {form: url.Values{"action": {"resolve"}, "by": {"Wei"}}, code: 401, said: "acting needs a token"},
		"wrong token":      {form: url.Values{"action": {"resolve"}, "token": {"guess"}, "by": {"Wei"}}, code: 401, said: "not one of those configured"},
		"no action":        {form: url.Values{"token": {linsToken}}, code: 400, said: "can be acknowledged, resolved and more"},
		"bad name":         {form: url.Values{"action": {"resolve"}, "token": {sharedToken}, "by": {"a\x00"}}, code: 400, said: "cannot be printed"},
		"resolved already": {form: url.Values{"action": {"acknowledge"}, "token": {linsToken}}, fail: ErrConflict, code: 409, said: "already resolved"},
		"huge":             {form: url.Values{"by": {strings.Repeat("a", maxActBody)}}, code: 413, said: "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.rooms.actFail = c.fail
			w := h.ask(t, http.MethodPost, "/incidents/42", c.form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
			wantCode(t, w, c.code)
			if got := strings.Join(h.rooms.acted, "; "); got != c.acted {
				t.Errorf("acted %q, want %q", got, c.acted)
			}
			if c.code == http.StatusSeeOther {
				if to := w.Header().Get("Location"); to != "/incidents/42" {
					t.Errorf("leads to %q", to)
				}
				return
			}
			wantIn(t, w.Body.String(), c.said, `role="alert"`, "payments burn their budget")
			wantNotIn(t, w.Body.String()+h.log.String(), linsToken, sharedToken, "guess")
		})
	}
}

func TestFormThatCannotAct(t *testing.T) {
	h := newHouse(t, nil)
	form := "action=resolve&token=" + linsToken
	kind := []string{"Content-Type", "application/x-www-form-urlencoded"}
	wantCode(t, h.ask(t, http.MethodPost, "/incidents/7", form, kind...), http.StatusNotFound)
	wantCode(t, h.ask(t, http.MethodPost, "/incidents/42", "%zz", kind...), http.StatusBadRequest)
	wantCode(t, h.ask(t, http.MethodPost, "/incidents/42?"+form, "", kind...), http.StatusUnauthorized)
	h.SetTokens(&Tokens{})
	w := h.ask(t, http.MethodPost, "/incidents/42", form, kind...)
	wantCode(t, w, http.StatusForbidden)
	wantIn(t, w.Body.String(), "Acting is off")
	if len(h.rooms.acted) > 0 {
		t.Errorf("acted %v", h.rooms.acted)
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range [][2]string{
		{budget(1), "100%"},
		{budget(0.6421), "64.2%"},
		{budget(-0.127), "−12.7%"},
		{budget(-34), "−3400%"},
		{budget(nan()), "–"},
		{budget(math.Inf(1)), "–"},
		{errorRatio(0), "0%"},
		{errorRatio(0.4003), "40.0%"},
		{errorRatio(0.0052), "0.52%"},
		{errorRatio(0.00012), "0.012%"},
		{burnRate(0), "0.0×"},
		{burnRate(0.01), "<0.1×"},
		{burnRate(14.4), "14.4×"},
		{burnRate(800.6), "801×"},
		{burnRate(nan()), "–"},
		{lasting(40 * time.Second), "40 s"},
		{lasting(14 * time.Minute), "14 min"},
		{lasting(65 * time.Minute), "1 h 05 min"},
		{lasting(7 * time.Hour), "7 h"},
		{lasting(76 * time.Hour), "3 d 4 h"},
		{lasting(48 * time.Hour), "2 d"},
		{lasting(1000 * time.Hour), "41 d"},
		{lasting(-time.Hour), "0 s"},
		{count(7), "7"},
		{count(2317), "2\u202f317"},
		{count(1234567), "1\u202f234\u202f567"},
		{count(-123), "-123"},
		{cut("我们", 4), "我…"},
		{cut("ab", 2), "ab"},
		{link("https://a.example/x?y=1"), "https://a.example/x?y=1"},
		{link("//a.example"), ""},
		{link("https:///x"), ""},
		{link("ftp://a/b"), ""},
		{link("https://u:p@a.example"), ""},
		{link(":"), ""},
		{emptyIn(page.Standing{BudgetLeft: 0.5, BurnRate: 100}, "30d"), "3 h 36 min"}, // 0.5 / 100 × 720 h
		{emptyIn(page.Standing{BudgetLeft: 0.5, BurnRate: 1.1}, "30d"), ""},
		{emptyIn(page.Standing{BudgetLeft: -1, BurnRate: 9}, "30d"), ""},
		{emptyIn(page.Standing{BudgetLeft: 1, BurnRate: 9}, "month"), ""},
		{newPatternRow(page.LogPattern{Count: 32, Before: 19, AtLeast: true}).Counted, "≥ 32"},
		{newPatternRow(page.LogPattern{Count: 32, Before: 19}).Change, "×1.7"},
		{newPatternRow(page.LogPattern{Count: 32}).Change, "new"},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}

func TestTimesAreShownInTheConfiguredZone(t *testing.T) {
	shanghai := time.FixedZone("CST", 8*3600)
	for at, want := range map[time.Time]string{
		start:                      "11:21",
		start.Add(-12 * time.Hour): "20 Nov 23:21",
		time.Date(2025, 12, 31, 16, 5, 0, 0, time.UTC): "1 Jan 00:05", // 2026 in Shanghai
		time.Date(2025, 12, 31, 15, 5, 0, 0, time.UTC): "2025-12-31 23:05",
		{}: "",
	} {
		if got := newStamp(at, start, shanghai).Text; got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
}

func TestSparkline(t *testing.T) {
	// 120 × 26 with a margin of 3: 0 and 1 are at 23 and 3 where nothing is
	// overspent, and gaps lift the pen.
	s := newSpark([]float64{1, 0.5, nan(), 0, 0.5})
	if want := "M3.0 3.0L31.5 13.0M88.5 23.0L117.0 13.0"; s.Path != want || s.Zero != "23.0" || s.EndY != "13.0" {
		t.Errorf("got %+v, want path %s", s, want)
	}
	// Down to −1 the line of zero is half way.
	if s := newSpark([]float64{1, -1}); s.Path != "M3.0 3.0L117.0 23.0" || s.Zero != "13.0" || s.Tone != bad {
		t.Errorf("got %+v", s)
	}
	for _, values := range [][]float64{nil, {1}, {nan(), nan(), 1}} {
		if s := newSpark(values); s.Path != "" {
			t.Errorf("%v: drew %q", values, s.Path)
		}
	}
}
