package web

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const oneAlert = `[{"labels": {"alertname": "Down", "cluster": "hangzhou"}, "startsAt": "2026-11-21T03:00:00Z"}]`

func (h house) post(t *testing.T, body string) (code int, answer string) {
	t.Helper()
	w := h.ask(t, http.MethodPost, "/api/v2/alerts", body, "Content-Type", "application/json")
	return w.Code, w.Body.String()
}

func TestAlertsAreReceived(t *testing.T) {
	h := newHouse(t, nil)
	if code, answer := h.post(t, oneAlert); code != http.StatusOK || answer != "" {
		t.Fatalf("answered %d %q, want 200 and nothing", code, answer)
	}
	if len(h.rooms.received) != 1 || h.rooms.received[0].Label("cluster") != "hangzhou" {
		t.Errorf("received %v", h.rooms.received)
	}
	if code, _ := h.post(t, "[]"); code != http.StatusOK {
		t.Errorf("no alerts at all: answered %d", code)
	}
}

func TestValidAlertsAreReceivedBesideInvalidOnes(t *testing.T) {
	h := newHouse(t, nil)
	code, answer := h.post(t, strings.Replace(oneAlert, "[", `[{"labels": {}}, `, 1))
	if code != http.StatusBadRequest || len(h.rooms.received) != 1 {
		t.Fatalf("answered %d, received %v", code, h.rooms.received)
	}
	var text string
	if err := json.Unmarshal([]byte(answer), &text); err != nil || !strings.Contains(text, "alert 0") {
		t.Errorf("the answer %q is no JSON string that names the alert: %v", answer, err)
	}
}

func TestAlertsThatAreNotKept(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.fail = errInside
	code, answer := h.post(t, oneAlert)
	if code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", code)
	}
	wantIn(t, answer, "send them again")
	wantNotIn(t, answer, "hunter2", "10.1.2.3")
	wantIn(t, h.log.String(), "hunter2")
}

func TestHostileAlerts(t *testing.T) {
	h := newHouse(t, nil)
	for name, c := range map[string]struct {
		body   io.Reader
		header []string
		code   int
	}{
		"no JSON":          {strings.NewReader("alerts!"), nil, 400},
		"half a JSON":      {strings.NewReader(oneAlert[:40]), nil, 400},
		"an object":        {strings.NewReader(`{"labels": {}}`), nil, 400},
		"no body":          {strings.NewReader(""), nil, 400},
		"bad UTF-8":        {strings.NewReader(`[{"labels": {"alertname": "` + "\xff" + `"}}]`), nil, 400},
		"too large":        {io.MultiReader(strings.NewReader("["), endless{}), nil, 413},
		"connection lost":  {io.MultiReader(strings.NewReader("["), broken{}), nil, 400},
		"a form":           {strings.NewReader(oneAlert), []string{"Content-Type", "text/plain"}, 415},
		"no content type":  {strings.NewReader(oneAlert), []string{"Content-Type", ""}, 415},
		"no gzip":          {strings.NewReader(oneAlert), []string{"Content-Encoding", "gzip"}, 400},
		"half a gzip":      {strings.NewReader(zipped(oneAlert)[:40]), []string{"Content-Encoding", "gzip"}, 400},
		"a bomb":           {strings.NewReader(zipped("[" + strings.Repeat(" ", 17<<20))), []string{"Content-Encoding", "gzip"}, 413},
		"other encoding":   {strings.NewReader(oneAlert), []string{"Content-Encoding", "br"}, 415},
		"gzip":             {strings.NewReader(zipped(oneAlert)), []string{"Content-Encoding", "gzip"}, 200},
		"type with params": {strings.NewReader(oneAlert), []string{"Content-Type", "application/json; charset=utf-8"}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			h.rooms.received = nil
			w := h.send(t, http.MethodPost, "/api/v2/alerts", c.body, append([]string{"Content-Type", "application/json"}, c.header...)...)
			wantCode(t, w, c.code)
			if c.code == http.StatusOK {
				return
			}
			if len(h.rooms.received) > 0 {
				t.Errorf("received %v", h.rooms.received)
			}
			var text string
			if err := json.Unmarshal(w.Body.Bytes(), &text); err != nil || text == "" {
				t.Errorf("the answer %q is no JSON string: %v", w.Body, err)
			}
		})
	}
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, s)
	_ = z.Close()
	return b.String()
}

type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestUnknownPathsOfTheAPIs(t *testing.T) {
	h := newHouse(t, nil)
	for target, part := range map[string]string{
		"/api/v2/silences":           "silences are not served",
		"/api/v2/alerts":             "alerts are not served",
		"/api/v2/flush":              "nothing of Alertmanager's API is served at GET /api/v2/flush",
		"/api/v1/query":              "nothing is served",
		"/api/v1/incidents/42/flush": "nothing is served",
		"/api/v3/x":                  "see /api/v1/",
	} {
		w := h.ask(t, http.MethodGet, target, "")
		wantCode(t, w, http.StatusNotFound)
		wantIn(t, w.Body.String(), part)
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: content type %q", target, got)
		}
	}
}

func TestQueriesArePassedOn(t *testing.T) {
	query := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.URL.Path) })
	h := newHouse(t, func(c *Config) { c.Query = query })
	for _, target := range []string{"/api/v1/query", "/api/v1/label/job/values"} {
		if w := h.ask(t, http.MethodPost, target, "query=up"); w.Body.String() != target {
			t.Errorf("%s: %d %q", target, w.Code, w.Body)
		}
	}
	wantCode(t, h.ask(t, http.MethodGet, "/api/v1/incidents/42/flush", ""), http.StatusNotFound)
}

// data decodes the data of a successful answer.
func data[T any](t *testing.T, body []byte) (out T) {
	t.Helper()
	var e wire.Envelope
	if err := json.Unmarshal(body, &e); err != nil || e.Status != wire.Success {
		t.Fatalf("no success: %s: %v", body, err)
	}
	if err := json.Unmarshal(e.Data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestListIncidents(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.resolved = []alert.Incident{{ID: 41, Status: alert.Closed, Level: alert.P2}}
	for target, want := range map[string][]int64{"/api/v1/incidents": {42}, "/api/v1/incidents?all=false": {42}, "/api/v1/incidents?all=true": {42, 41}} {
		var ids []int64
		for _, i := range data[[]alert.Incident](t, h.ask(t, http.MethodGet, target, "").Body.Bytes()) {
			ids = append(ids, i.ID)
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%s: %v, want %v", target, ids, want)
		}
	}
	h.rooms.open = nil
	wantIn(t, h.ask(t, http.MethodGet, "/api/v1/incidents", "").Body.String(), `"data":[]`)
	wantCode(t, h.ask(t, http.MethodGet, "/api/v1/incidents?all=perhaps", ""), http.StatusBadRequest)
}

func TestInsidesStayInside(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.fail = errInside
	for _, target := range []string{"/", "/incidents", "/incidents/42", "/api/v1/incidents", "/api/v1/incidents/42"} {
		body := h.ask(t, http.MethodGet, target, "").Body.String()
		wantIn(t, body, "the log has its cause under id ")
		wantNotIn(t, body, "hunter2", "10.1.2.3", "All quiet")
		_, rest, _ := strings.Cut(body, "under id ")
		if id := rest[:8]; !strings.Contains(h.log.String(), "id="+id) {
			t.Errorf("%s: the id %q is not in the log", target, id)
		}
	}
}

func TestGetIncident(t *testing.T) {
	h := newHouse(t, nil)
	h.rooms.story.SLO.Standings[0].BurnRate = nan()
	w := h.ask(t, http.MethodGet, "/api/v1/incidents/42", "")
	wantCode(t, w, http.StatusOK)
	wantIn(t, w.Body.String(), `"burn_rate":null`)
	s := data[wire.Story](t, w.Body.Bytes())
	if s.Incident.Level != alert.P1 || s.Evidence[0].Patterns[0].Count != 2317 || float64(s.SLO.Standings[1].BurnRate) != 800 {
		t.Errorf("got %+v", s)
	}
}

func TestAbsurdIDs(t *testing.T) {
	h := newHouse(t, nil)
	for _, id := range []string{"0", "-1", "+42", "042", "42.0", "1e3", "99999999999999999999", "NaN", "%2e%2e", "4%002", strings.Repeat("9", 4000), "7"} {
		for _, form := range []string{"/api/v1/incidents/%s", "/incidents/%s"} {
			w := h.ask(t, http.MethodGet, fmt.Sprintf(form, id), "")
			if w.Code != http.StatusNotFound || w.Body.Len() > 4000 {
				t.Errorf("id %.30q: answered %d, %d bytes", id, w.Code, w.Body.Len())
			}
		}
	}
}

func TestActing(t *testing.T) {
	for name, c := range map[string]struct {
		target, auth, body string
		fail               error
		code               int
		acted, said        string
	}{
		"own token":            {auth: "Bearer " + linsToken, code: 200, acted: "ack by Lin Yue"},
		"own token, other by":  {auth: "Bearer " + linsToken, body: `{"by": "Mallory"}`, code: 200, acted: "ack by Lin Yue"},
		"shared token":         {auth: "bearer " + sharedToken, body: `{"by": " Wei Chen "}`, code: 200, acted: "ack by Wei Chen"},
		"shared token, nobody": {auth: "Bearer " + sharedToken, code: 200, acted: "ack by somebody with a token"},
		"resolve":              {target: "/api/v1/incidents/42/resolve", auth: "Bearer " + linsToken, code: 200, acted: "resolve by Lin Yue"},
		"no token":             {code: 401, said: "needs a token"},
		"wrong token":          {auth: "Bearer shared-012345678", code: 401, said: "not one of those"},
		"another scheme":       {auth: "Basic " + sharedToken, code: 401},
		"token in the URL":     {target: "/api/v1/incidents/42/ack?token=" + sharedToken, code: 401},
		"no such incident":     {target: "/api/v1/incidents/7/ack", auth: "Bearer " + linsToken, code: 404, said: "no incident 7"},
		"absurd id":            {target: "/api/v1/incidents/x/ack", auth: "Bearer " + linsToken, code: 404},
		"resolved already":     {auth: "Bearer " + linsToken, fail: fmt.Errorf("acknowledge: %w", ErrConflict), code: 409, said: "already resolved"},
		"store is down":        {auth: "Bearer " + linsToken, fail: errInside, code: 500},
		"no JSON":              {auth: "Bearer " + linsToken, body: `by=me`, code: 400},
		"unknown field":        {auth: "Bearer " + linsToken, body: `{"from": "me"}`, code: 400},
		"two objects":          {auth: "Bearer " + linsToken, body: `{} {}`, code: 400},
		"line break in name":   {auth: "Bearer " + linsToken, body: `{"by": "a\nb"}`, code: 400},
		"direction override":   {auth: "Bearer " + linsToken, body: `{"by": "a\u202eb"}`, code: 400},
		"name too long":        {auth: "Bearer " + linsToken, body: `{"by": "` + strings.Repeat("a", 101) + `"}`, code: 400},
		"huge body":            {auth: "Bearer " + linsToken, body: strings.Repeat(" ", maxActBody+1), code: 413},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, nil)
			h.rooms.fail = c.fail
			if c.target == "" {
				c.target = "/api/v1/incidents/42/ack"
			}
			w := h.ask(t, http.MethodPost, c.target, c.body, "Authorization", c.auth)
			wantCode(t, w, c.code)
			wantIn(t, w.Body.String(), c.said)
			wantNotIn(t, w.Body.String()+h.log.String(), sharedToken, linsToken)
			if got := strings.Join(h.rooms.acted, "; "); got != c.acted {
				t.Errorf("acted %q, want %q", got, c.acted)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (c.code == 401) {
				t.Errorf("WWW-Authenticate with %d: %q", w.Code, w.Header().Get("WWW-Authenticate"))
			}
		})
	}
}

func TestActingWithoutTokensIsOff(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.Tokens = nil })
	for _, target := range []string{"/api/v1/incidents/42/ack", "/api/v1/incidents/42/resolve", "/-/reload"} {
		wantCode(t, h.ask(t, http.MethodPost, target, "", "Authorization", "Bearer "), http.StatusForbidden)
	}
	tokens, err := NewTokens([]TokenConfig{{Token: secret.New("new-0123456789")}})
	if err != nil {
		t.Fatal(err)
	}
	h.SetTokens(tokens)
	wantCode(t, h.ask(t, http.MethodPost, "/-/reload", "", "Authorization", "Bearer new-0123456789"), http.StatusOK)
}

func TestTokensAreChecked(t *testing.T) {
	for name, c := range map[string][]TokenConfig{
		"empty":       {{Name: "a"}},
		"short":       {{Token: secret.New("1234567")}},
		"twice":       {{Token: secret.New("0123456789")}, {Name: "b", Token: secret.New("0123456789")}},
		"no file":     {{TokenFile: "/nowhere/token"}},
		"both places": {{Token: secret.New("0123456789"), TokenFile: "/nowhere/token"}},
	} {
		_, err := NewTokens(c)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		wantIn(t, err.Error(), "tokens.", "token")
		wantNotIn(t, err.Error(), "0123456789", "1234567")
	}
}

func TestReload(t *testing.T) {
	h := newHouse(t, nil)
	auth := []string{"Authorization", "Bearer " + linsToken}
	wantCode(t, h.ask(t, http.MethodPost, "/-/reload", ""), http.StatusUnauthorized)
	wantCode(t, h.ask(t, http.MethodPost, "/-/reload", "", auth...), http.StatusOK)

	h.rooms.reload = fmt.Errorf("load slos: %w", diag.Problems{{File: "slo.yaml", Line: 3, Message: "objective is 100"}})
	w := h.ask(t, http.MethodPost, "/-/reload", "", auth...)
	wantCode(t, w, http.StatusUnprocessableEntity)
	wantIn(t, w.Body.String(), "slo.yaml:3: objective is 100")

	h.rooms.reload = errInside
	w = h.ask(t, http.MethodPost, "/-/reload", "", auth...)
	wantCode(t, w, http.StatusInternalServerError)
	wantNotIn(t, w.Body.String(), "hunter2")
}

func TestOnCall(t *testing.T) {
	h := newHouse(t, nil)
	wantIn(t, h.ask(t, http.MethodGet, "/api/v1/oncall", "").Body.String(), `"data":[]`)
	h.rooms.watches = []wire.Watch{{Schedule: "payments", Now: wire.Shift{User: "lin", FullName: "Lin Yue", From: start}}}
	got := data[[]wire.Watch](t, h.ask(t, http.MethodGet, "/api/v1/oncall", "").Body.Bytes())
	if len(got) != 1 || got[0].Now.FullName != "Lin Yue" || !got[0].Now.From.Equal(start) || got[0].Next.User != "" {
		t.Errorf("got %+v", got)
	}
}

func FuzzAct(f *testing.F) {
	for _, s := range []string{"", "{}", `{"by": "Lin"}`, `{"by": 3}`, `{"by": "\ud800"}`, "[]", `{"by": "a"}x`, "null", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseAct(body)
		if err != nil {
			var p problem
			if !errors.As(err, &p) || p.status != http.StatusBadRequest {
				t.Fatalf("%q: %v is not a bad request", body, err)
			}
			return
		}
		if again, err := parseName(a.By); err != nil || again != a.By || len(a.By) > maxName {
			t.Fatalf("%q: took the name %q, which it refuses: %v", body, a.By, err)
		}
	})
}

func FuzzID(f *testing.F) {
	for _, s := range []string{"1", "0", "-1", "+1", "01", "9223372036854775807", "9223372036854775808", "x", "١"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, err := parseID(s)
		if err == nil && (id < 1 || fmt.Sprint(id) != s) {
			t.Fatalf("%q became %d", s, id)
		}
		if err != nil && len(err.Error()) > 500 {
			t.Fatalf("an error of %d bytes", len(err.Error()))
		}
	})
}
