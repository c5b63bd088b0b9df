package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// furnished is a house with something on every page.
func furnished(t *testing.T) (house, *people, *memory) {
	t.Helper()
	p, m, office := newOffice(nil)
	h := newHouse(t, office)
	p.furnish()
	recurring := silence.Silence{
		ID: "b", Matchers: parsed(t, `pod=~"<b>.*"`), StartsAt: start.Add(-time.Hour), EndsAt: start.Add(900 * time.Hour), CreatedBy: "Wei", Comment: "nightly",
		Recurrence: &silence.Recurrence{Cron: "0 22 * * *", Duration: 4 * time.Hour, Timezone: "Asia/Shanghai"},
	}
	m.silences = []silence.Silence{
		{ID: "a", Matchers: parsed(t, `service="batch"`), StartsAt: start.Add(-time.Hour), EndsAt: start.Add(time.Hour), CreatedBy: "Lin Yue", Comment: "an upgrade"},
		recurring,
		{ID: "c", Matchers: parsed(t, `service="old"`), StartsAt: start.Add(-3 * time.Hour), EndsAt: start.Add(-time.Hour), CreatedBy: "Wei"},
	}
	return h, p, m
}

func parsed(t *testing.T, texts ...string) labels.Matchers {
	t.Helper()
	ms, err := silence.ParseMatchers(texts)
	if err != nil {
		t.Fatal(err)
	}
	return ms
}

func TestPagesOfTheOffice(t *testing.T) {
	h, _, _ := furnished(t)
	for target, parts := range map[string][]string{
		"/silences":             {"service=&#34;batch&#34;", "an upgrade", "silences until", "0 22 * * * for 4h, Asia/Shanghai", "silences from", `value="a"`, "&lt;b&gt;"},
		"/silences?incident=42": {"alertname=&#34;SLOErrorBudgetBurn&#34;", "slo=&#34;payment-availability&#34;", "incident 42: payments burn their budget"},
		"/oncall":               {"1 gap", `class="gap"`, "payments", "Lin Yue", "CST", "a wedding", "Take it back", "/ical/schedule/payments.ics", "/ical/user/ada.ics"},
		"/delivery":             {"beijing cannot alert", "wecom", "for 3 min", "errcode 45009", "550 no such mailbox", "incident 41"},
		"/audit":                {"Lin Yue", "acknowledge", `href="/incidents/42"`, "by chat", "3 files changed"},
		"/drills":               {"0.4 s", "95 s", "550 no such mailbox", "schedule:payments", "user:ada"},
		"/incidents/42":         {"Silence its alerts", "Snooze", `value="lin"`, "Wei Chen"},
	} {
		w := h.ask(t, http.MethodGet, target, "")
		wantCode(t, w, http.StatusOK)
		wantIn(t, w.Body.String(), parts...)
		wantNotIn(t, w.Body.String(), "<b>.*", "ada@secret.example", " style=", "<script>")
	}
	wantNotIn(t, h.ask(t, http.MethodGet, "/silences?incident=42", "").Body.String(), "severity=")
	wantCode(t, h.ask(t, http.MethodGet, "/silences?incident=7", ""), http.StatusNotFound)
}

// A house where nothing of it is served says so, and breaks nowhere.
func TestWithoutAnOffice(t *testing.T) {
	h := newHouse(t, nil)
	for _, target := range []string{
		"/silences", "/delivery", "/audit", "/drills", "/ical/user/lin.ics", "/callbacks/wecom", "/api/v1/silences", "/api/v1/overrides",
		"/api/v1/audit", "/api/v1/drills", "/api/v1/delivery", "/api/v1/deadpages", "/api/v1/heartbeats", "/api/v1/oncall?from=1",
	} {
		wantCode(t, h.ask(t, http.MethodGet, target, ""), http.StatusNotFound)
	}
	wantCode(t, h.ask(t, http.MethodGet, "/oncall", ""), http.StatusOK)
}

func TestSourcesOfTheOfficeThatFail(t *testing.T) {
	h, p, m := furnished(t)
	p.fail, m.fail = errInside, errInside
	for _, target := range []string{
		"/silences", "/oncall", "/delivery", "/audit", "/drills", "/api/v1/silences", "/api/v1/overrides", "/api/v1/audit", "/api/v1/drills",
		"/api/v1/delivery", "/api/v1/heartbeats", "/api/v2/alerts", "/api/v2/alerts/groups", "/api/v2/silences", "/api/v2/silence/a",
	} {
		body := h.ask(t, http.MethodGet, target, "").Body.String()
		wantIn(t, body, "the log has its cause under id ")
		wantNotIn(t, body, "hunter2", "Pages go out")
	}
}

func TestSilencesByForms(t *testing.T) {
	form := func(pairs ...string) []string {
		return append([]string{"matchers", "service=\"a\"\r\n\r\ncluster=~\"b|c\"\r\n", "for", "2h", "comment", " why "}, pairs...)
	}
	for name, c := range map[string]struct {
		form []string
		code int
		said string
		want func(s silence.Silence) bool
	}{
		"now": {form: form(), code: 303, want: func(s silence.Silence) bool {
			return s.StartsAt.Equal(start) && s.EndsAt.Equal(start.Add(2*time.Hour)) && len(s.Matchers) == 2 && s.Comment == "why" && s.CreatedBy == "Lin Yue" && s.Recurrence == nil
		}},
		"later": {form: form("starts", "2026-11-22T01:30"), code: 303, want: func(s silence.Silence) bool {
			return s.StartsAt.Equal(time.Date(2026, 11, 21, 17, 30, 0, 0, time.UTC)) // the pages show Shanghai's time
		}},
		"by the reader's clock": {form: form("starts", "2026-11-22T01:30", "zone", "Europe/Berlin"), code: 303, want: func(s silence.Silence) bool {
			return s.StartsAt.Equal(time.Date(2026, 11, 22, 0, 30, 0, 0, time.UTC))
		}},
		"recurring": {form: form("cron", "0 22 * * 5", "span", "8h", "timezone", "Europe/Berlin"), code: 303, want: func(s silence.Silence) bool {
			return s.Recurrence != nil && s.Recurrence.Duration == 8*time.Hour && s.Recurrence.Timezone == "Europe/Berlin"
		}},
		"no matchers":       {form: []string{"for", "2h"}, code: 400, said: "at least one matcher"},
		"broken matcher":    {form: []string{"matchers", "a=~(", "for", "2h"}, code: 400, said: "is no matcher"},
		"everything":        {form: []string{"matchers", `a=~".*"`, "for", "2h"}, code: 400, said: "silences everything"},
		"no length":         {form: []string{"matchers", "a=b"}, code: 400, said: "how long it lasts"},
		"absurd length":     {form: []string{"matchers", "a=b", "for", "100y"}, code: 400, said: "longer than ten years"},
		"absurd start":      {form: form("starts", "tomorrow"), code: 400, said: "its start must be a date"},
		"no zone":           {form: form("starts", "2026-11-22T01:30", "zone", "../etc"), code: 400, said: "no time zone"},
		"over before":       {form: form("starts", "2026-11-01T01:30"), code: 400, said: "its end is past"},
		"broken recurrence": {form: form("cron", "every night", "span", "8h"), code: 400, said: "five fields of cron"},
		"no span":           {form: form("cron", "0 22 * * 5"), code: 400, said: "how long each time takes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, m, office := newOffice(func(c *Config) { c.Location = time.FixedZone("CST", 8*3600) })
			h := newHouse(t, office)
			code, body, to := h.postForm(t, "/silences", c.form...)
			if code != c.code {
				t.Fatalf("answered %d: %s", code, body)
			}
			if c.code == 303 {
				if to != "/silences" || len(m.silences) != 1 || !c.want(m.silences[0]) {
					t.Errorf("to %q, made %+v", to, m.silences)
				}
				return
			}
			wantIn(t, body, c.said, `role="alert"`)
			if len(m.silences) > 0 {
				t.Errorf("made %+v", m.silences)
			}
		})
	}
	h, _, m := furnished(t)
	if code, _, _ := h.postForm(t, "/silences", "expire", "a", "matchers", "x=y", "for", "1h"); code != 303 || strings.Join(m.acted, "; ") != "expire by Lin Yue" {
		t.Errorf("answered %d, acted %v", code, m.acted)
	}
	if code, _, _ := h.postForm(t, "/silences", "expire", "none"); code != 404 {
		t.Errorf("no such silence: answered %d", code)
	}
}

func TestSilencesByTheAPI(t *testing.T) {
	h, _, _ := furnished(t)
	list := data[[]wire.Silence](t, h.ask(t, http.MethodGet, "/api/v1/silences", "").Body.Bytes())
	if len(list) != 3 || list[0].ID != "a" || !list[0].Silencing || !list[0].Until.Equal(start.Add(time.Hour)) ||
		list[1].Silencing || !list[1].Next.Equal(time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)) || list[2].State != silence.Expired {
		t.Errorf("got %+v", list)
	}
	auth := []string{"Authorization", "Bearer " + sharedToken, "Content-Type", "application/json"}
	w := h.ask(t, http.MethodPost, "/api/v1/silences", `{"matchers": ["service=\"x\""], "ends_at": "2026-12-01T00:00:00Z", "created_by": "Wei"}`, auth...)
	wantCode(t, w, http.StatusOK)
	made := data[wire.Silence](t, w.Body.Bytes())
	if made.ID == "" || made.CreatedBy != "Wei" || !made.Silencing {
		t.Errorf("made %+v", made)
	}
	wantCode(t, h.ask(t, http.MethodGet, "/api/v1/silences/"+made.ID, ""), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/silences/"+made.ID, "", auth...), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/silences/none", "", auth...), http.StatusNotFound)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/silences/a", ""), http.StatusUnauthorized)
	wantCode(t, h.ask(t, http.MethodPost, "/api/v1/silences", `{"matchers": []}`, auth...), http.StatusBadRequest)
	wantCode(t, h.ask(t, http.MethodPost, "/api/v1/silences", `{"matchers": ["a=b"], "ends_at": "2026-12-01T00:00:00Z"}`), http.StatusUnauthorized)
}

func TestOverrides(t *testing.T) {
	h, p, _ := furnished(t)
	auth := []string{"Authorization", "Bearer " + linsToken, "Content-Type", "application/json"}
	post := func(body string) *httptest.ResponseRecorder {
		return h.ask(t, http.MethodPost, "/api/v1/overrides", body, auth...)
	}
	w := post(`{"schedule": "payments", "user": "wei", "from": "2026-11-22T00:00:00+08:00", "until": "2026-11-23T00:00:00+08:00", "reason": "swap"}`)
	wantCode(t, w, http.StatusOK)
	if o := data[wire.Override](t, w.Body.Bytes()); o.ID != 2 || o.CreatedBy != "Lin Yue" || o.From.Format(time.RFC3339) != "2026-11-21T16:00:00Z" || o.Reason != "swap" {
		t.Errorf("got %+v", o)
	}
	for body, said := range map[string]string{
		`{"schedule": "payments", "until": "2026-11-23T00:00:00Z"}`:                                      "needs a schedule and a user",
		`{"schedule": "payments", "user": "wei"}`:                                                        "must end after it begins",
		`{"schedule": "payments", "user": "wei", "until": "2026-11-20T00:00:00Z"}`:                       "must end after it begins",
		`{"schedule": "payments", "user": "wei", "until": "2029-11-20T00:00:00Z"}`:                       "at most 370 days",
		`{"schedule": "nothing", "user": "wei", "until": "2026-11-23T00:00:00Z"}`:                        "there is no schedule nothing",
		`{"schedule": "payments", "user": "wei", "until": "2026-11-23T00:00:00Z", "reason": "a\u0007b"}`: "cannot be printed",
		`{"schedule": "payments", "who": "wei"}`:                                                         "unknown field",
	} {
		w := post(body)
		wantCode(t, w, http.StatusBadRequest)
		wantIn(t, w.Body.String(), said)
	}
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/overrides/1", "", auth...), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/overrides/9", "", auth...), http.StatusNotFound)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v1/overrides/1", ""), http.StatusUnauthorized)

	code, _, to := h.postForm(t, "/oncall", "schedule", "platform", "user", "ada", "until", "2026-11-22T08:00")
	if code != 303 || to != "/oncall" || !p.overrides[2].From.Equal(start) || p.overrides[2].User != "ada" {
		t.Errorf("answered %d, have %+v", code, p.overrides)
	}
	if code, body, _ := h.postForm(t, "/oncall", "schedule", "platform", "user", "ada"); code != 400 || !strings.Contains(body, "say when the override ends") {
		t.Errorf("answered %d %s", code, body)
	}
	if code, _, _ := h.postForm(t, "/oncall", "end", "1"); code != 303 {
		t.Errorf("answered %d", code)
	}
	want := "override by Lin Yue; end override 1 by Lin Yue; override by Lin Yue; end override 1 by Lin Yue"
	if got := strings.Join(p.acted, "; "); got != want {
		t.Errorf("acted %s", got)
	}
}

func TestShiftsOfASpan(t *testing.T) {
	h, _, _ := furnished(t)
	rotas := data[[]wire.Rota](t, h.ask(t, http.MethodGet, "/api/v1/oncall?from=2026-11-21T00:00:00Z&to=2026-11-24T00:00:00Z", "").Body.Bytes())
	if len(rotas) != 2 || len(rotas[0].Shifts) != 2 || rotas[0].Shifts[0].User != "lin" || len(rotas[1].Shifts) != 3 {
		t.Errorf("got %+v", rotas)
	}
	for _, query := range []string{"from=tomorrow", "from=1&to=0", "from=2026-11-21T00:00:00Z&to=2020-11-21T00:00:00Z", "from=2026-11-21T00:00:00Z&to=2029-11-21T00:00:00Z", "from=9998-01-01T00:00:00Z", "from=1970-01-02T00:00:00Z"} {
		wantCode(t, h.ask(t, http.MethodGet, "/api/v1/oncall?"+query, ""), http.StatusBadRequest)
	}
}

func TestCalendarFiles(t *testing.T) {
	h, _, _ := furnished(t)
	w := h.ask(t, http.MethodGet, "/ical/schedule/payments%2Fcore.ics", "")
	wantCode(t, w, http.StatusOK)
	if kind := w.Header().Get("Content-Type"); kind != "text/calendar; charset=utf-8" || w.Body.String() != "BEGIN:VCALENDAR schedule payments/core" {
		t.Errorf("got %s: %s", kind, w.Body)
	}
	for _, target := range []string{"/ical/user/nobody.ics", "/ical/user/lin", "/ical/team/a.ics"} {
		wantCode(t, h.ask(t, http.MethodGet, target, ""), http.StatusNotFound)
	}
}

func TestRecords(t *testing.T) {
	h, p, _ := furnished(t)
	if got := data[[]wire.Deed](t, h.ask(t, http.MethodGet, "/api/v1/audit?before=3&limit=1", "").Body.Bytes()); len(got) != 1 || got[0].ID != 2 {
		t.Errorf("audit: %+v", got)
	}
	for _, query := range []string{"before=x", "before=-1", "limit=0", "limit=5000"} {
		wantCode(t, h.ask(t, http.MethodGet, "/api/v1/audit?"+query, ""), http.StatusBadRequest)
	}
	dead := h.ask(t, http.MethodGet, "/api/v1/deadpages", "").Body
	if got := data[[]page.Record](t, dead.Bytes()); len(got) != 1 || got[0].Reason != "550 no such mailbox" || got[0].Incident.Level != alert.P2 {
		t.Errorf("dead pages: %+v", got)
	}
	wantNotIn(t, dead.String(), "secret") // neither the link that acknowledges nor the address
	if got := data[[]wire.Heartbeat](t, h.ask(t, http.MethodGet, "/api/v1/heartbeats", "").Body.Bytes()); len(got) != 2 || got[0].Cluster != "beijing" {
		t.Errorf("heartbeats: %+v", got)
	}
	if p.delivery.Dead[0].AckLink == "" {
		t.Error("the source's own page is changed")
	}
	p.deeds = nil
	for i := range 150 {
		p.deeds = append(p.deeds, wire.Deed{ID: int64(150 - i), At: start})
	}
	wantIn(t, h.ask(t, http.MethodGet, "/audit", "").Body.String(), `href="/audit?before=51"`)
	wantNotIn(t, h.ask(t, http.MethodGet, "/audit?before=51", "").Body.String(), "Older")
}

func TestDrills(t *testing.T) {
	h, p, _ := furnished(t)
	auth := []string{"Authorization", "Bearer " + linsToken, "Content-Type", "application/json"}
	w := h.ask(t, http.MethodPost, "/api/v1/drills", `{"schedule": "payments"}`, auth...)
	wantCode(t, w, http.StatusOK)
	if d := data[wire.Drill](t, w.Body.Bytes()); d.Incident != 77 {
		t.Errorf("got %+v", d)
	}
	for _, body := range []string{`{}`, `{"schedule": "a", "user": "b"}`, `{"user": "b", "level": "Info"}`, `{"user": "b", "level": "P9"}`, `[]`} {
		wantCode(t, h.ask(t, http.MethodPost, "/api/v1/drills", body, auth...), http.StatusBadRequest)
	}
	if code, _, to := h.postForm(t, "/drills", "to", "user:ada", "level", "p1"); code != 303 || to != "/drills" {
		t.Errorf("answered %d to %q", code, to)
	}
	if code, _, _ := h.postForm(t, "/drills", "to", "everybody"); code != 400 {
		t.Errorf("answered %d", code)
	}
	if got := strings.Join(p.acted, "; "); got != "drill payments P2 by Lin Yue; drill ada P1 by Lin Yue" {
		t.Errorf("acted %s", got)
	}
}

// On the day when clocks go forward a calendar's day is 23 hours, and just as
// wide.
func TestCalendarOverDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, berlin) }
	h := newHouse(t, nil)
	c := h.newCalendar(wire.Rota{Schedule: "s", Timezone: "Europe/Berlin", Shifts: []wire.Shift{
		{User: "a", From: at(27, 0), Until: at(29, 12)}, // 12:00 of the 29th is 11 of its 23 hours
		{From: at(29, 12), Until: at(30, 6)},
		{User: "b", From: at(30, 6), Until: at(30, 6).AddDate(0, 0, 14)},
	}}, map[string]int{}, at(27, 18))
	var bars []string
	for _, b := range c.Weeks[0].Bars {
		bars = append(bars, b.X+"+"+b.Width)
	}
	// (2 + 11/23) / 7 = 35.40%; (3 + 6/24) / 7 = 46.43%.
	if want := []string{"0.00+35.40", "35.40+11.02", "46.43+53.57"}; !slices.Equal(bars, want) {
		t.Errorf("bars %v, want %v", bars, want)
	}
	if c.Gaps != 1 || !c.Weeks[0].Bars[1].Gap || c.Weeks[0].Now != "10.71" || c.Weeks[1].Now != "" || len(c.Weeks[1].Bars) != 1 || c.Weeks[1].Bars[0].Width != "100.00" {
		t.Errorf("got %+v", c)
	}
	if b := c.Weeks[0].Bars; b[0].Name != "a" || b[1].Name != "nobody" || !b[1].Slim || b[2].Slim {
		t.Errorf("the bars have the names %+v", b)
	}
	if d := c.Weeks[0].Days[2]; d.Name != "Sun" || d.Date != "29" || !d.Weekend {
		t.Errorf("got %+v", d)
	}
}

func TestIngest(t *testing.T) {
	const secretOfSentry, token = "client-secret-0123", "ingest-0123456789"
	hook := `{"alerts": [{"status": "firing", "labels": {"alertname": "A"}}, {"status": "firing", "labels": {"alertname": "B", "cluster": "own"}}]}`
	for name, c := range map[string]struct {
		target, body  string
		header        []string
		open, sentry  bool
		code, cluster string
	}{
		"open":               {target: "ingest/alertmanager", body: hook, open: true, code: "200", cluster: " own"},
		"grafana":            {target: "ingest/grafana", body: hook, open: true, code: "200", cluster: " own"},
		"no token":           {target: "ingest/grafana", body: hook, code: "401"},
		"bearer":             {target: "ingest/grafana", body: hook, header: []string{"Authorization", "Bearer " + token}, code: "200", cluster: "hangzhou own"},
		"basic":              {target: "ingest/alertmanager", body: hook, header: []string{"Authorization", "Basic " + basic("any", token)}, code: "200", cluster: "hangzhou own"},
		"one who may act":    {target: "ingest/alertmanager", body: hook, header: []string{"Authorization", "Bearer " + linsToken}, code: "200", cluster: " own"},
		"wrong":              {target: "ingest/alertmanager", body: hook, header: []string{"Authorization", "Bearer x" + token}, code: "401"},
		"in the URL":         {target: "ingest/alertmanager?token=" + token, body: hook, code: "400"},
		"in the URL, open":   {target: "ingest/alertmanager?token=" + token, body: hook, open: true, code: "400"},
		"one is refused":     {target: "ingest/alertmanager", body: strings.Replace(hook, `"alertname": "A"`, "", 1), open: true, code: "400", cluster: "own"},
		"no JSON":            {target: "ingest/alertmanager", body: "alerts", open: true, code: "400"},
		"unsigned":           {target: "ingest/sentry", body: sentryIssue, sentry: true, header: []string{"Sentry-Hook-Resource", "issue"}, code: "401"},
		"signed":             {target: "ingest/sentry", body: sentryIssue, sentry: true, header: []string{"Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", signatureOf(sentryIssue, secretOfSentry)}, code: "200", cluster: "    "},
		"signed by another":  {target: "ingest/sentry", body: sentryIssue, sentry: true, header: []string{"Sentry-Hook-Resource", "issue", "Sentry-Hook-Signature", signatureOf(sentryIssue, "x")}, code: "401"},
		"sentry, no token":   {target: "ingest/sentry", body: sentryIssue, header: []string{"Sentry-Hook-Resource", "issue"}, code: "401"},
		"sentry, no alert":   {target: "ingest/sentry", body: `{"action": "created"}`, open: true, header: []string{"Sentry-Hook-Resource", "installation"}, code: "200"},
		"v2, no token":       {target: "../v2/alerts", body: oneAlert, code: "401"},
		"v2, token":          {target: "../v2/alerts", body: oneAlert, header: []string{"Authorization", "Bearer " + token}, code: "200", cluster: "hangzhou"},
		"sentry needs no v2": {target: "../v2/alerts", body: oneAlert, sentry: true, open: true, code: "200", cluster: "hangzhou"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.SetIngest(ingestOf(t, c.open, c.sentry, token, secretOfSentry))
			target := strings.Replace("/api/v1/"+c.target, "/v1/..", "", 1)
			w := h.ask(t, http.MethodPost, target, c.body, append(c.header, "Content-Type", "application/json")...)
			wantCode(t, w, map[string]int{"200": 200, "400": 400, "401": 401}[c.code])
			var clusters []string
			for _, a := range h.rooms.received {
				clusters = append(clusters, a.Label("cluster"))
			}
			if got := strings.Join(clusters, " "); got != c.cluster {
				t.Errorf("received from %q, want %q", got, c.cluster)
			}
			wantNotIn(t, w.Body.String()+h.log.String(), token, secretOfSentry)
		})
	}
	h := newHouse(t, nil)
	h.rooms.fail = errInside
	w := h.ask(t, http.MethodPost, "/api/v1/ingest/grafana", hook, "Content-Type", "application/json")
	wantCode(t, w, http.StatusServiceUnavailable) // not kept: they send it again
}

func TestCallbacks(t *testing.T) {
	h := newHouse(t, nil)
	h.SetCallbacks(map[string]http.Handler{"wecom": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Pad string }
		err := json.NewDecoder(r.Body).Decode(&body)
		_, _ = w.Write([]byte(r.Method + " " + alert.Via(r.Context())))
		if err != nil && r.Method == http.MethodPost {
			panic(http.ErrAbortHandler)
		}
	})})
	if got := h.ask(t, http.MethodGet, "/callbacks/wecom?echostr=x", "").Body.String(); got != "GET chat" {
		t.Errorf("got %q", got)
	}
	if got := h.ask(t, http.MethodPost, "/callbacks/wecom", "{}").Body.String(); got != "POST chat" {
		t.Errorf("got %q", got)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a huge body is read whole")
			}
		}()
		h.ask(t, http.MethodPost, "/callbacks/wecom", `{"pad": "`+strings.Repeat("a", maxCallback)+`"}`)
	}()
	wantCode(t, h.ask(t, http.MethodGet, "/callbacks/"+url.PathEscape("a/b"), ""), http.StatusNotFound)
	h.SetCallbacks(nil)
	wantCode(t, h.ask(t, http.MethodGet, "/callbacks/wecom", ""), http.StatusNotFound)
}
