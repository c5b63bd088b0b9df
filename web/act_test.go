package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const formType = "application/x-www-form-urlencoded"

// post sends a form of a page, signed by Lin.
func (h house) postForm(t *testing.T, target string, pairs ...string) (code int, body, to string) {
	t.Helper()
	form := url.Values{"token": {linsToken}}
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	w := h.ask(t, http.MethodPost, target, form.Encode(), "Content-Type", formType)
	return w.Code, w.Body.String(), w.Header().Get("Location")
}

// Each deed by the API, and the same by a form.
func TestDeeds(t *testing.T) {
	for name, c := range map[string]struct {
		action, body string
		form         []string
		acted        string // "" is refused
		said         string
	}{
		"escalate":          {action: "escalate", acted: "escalate via %s by Lin Yue"},
		"snooze":            {action: "snooze", body: `{"for": "30m"}`, form: []string{"for", "30m"}, acted: "snooze until 03:51:40 by Lin Yue"},
		"snooze for ever":   {action: "snooze", body: `{"for": "1y"}`, form: []string{"for", "1y"}, said: "at most 30 days"},
		"snooze for what":   {action: "snooze", body: `{"for": "a while"}`, form: []string{"for", "a while"}, said: "for must be a length of time"},
		"snooze, no time":   {action: "snooze", said: "snooze for a while"},
		"reassign":          {action: "reassign", body: `{"users": ["wei", " ada", "wei"]}`, form: []string{"users", "wei", "users", " ada", "users", "wei"}, acted: "reassign to wei+ada by Lin Yue"},
		"reassign to none":  {action: "reassign", body: `{"users": [" "]}`, form: []string{"users", " "}, said: "name from 1 to 20 users"},
		"add":               {action: "responders", body: `{"users": ["lin"]}`, form: []string{"users", "lin"}, acted: "add lin by Lin Yue"},
		"add a stranger":    {action: "responders", body: `{"users": ["mallory"]}`, form: []string{"users", "mallory"}, said: "there is no user"},
		"note":              {action: "note", body: `{"text": " a pool\r\nis full "}`, form: []string{"text", " a pool\r\nis full "}, acted: `note "a pool\nis full" by Lin Yue`},
		"empty note":        {action: "note", body: `{"text": " "}`, form: []string{"text", " "}, said: "says nothing"},
		"note with escapes": {action: "note", body: `{"text": "\u001b[2J"}`, form: []string{"text", "\x1b[2J"}, said: "cannot be printed"},
		"endless note":      {action: "note", body: `{"text": "` + strings.Repeat("a", maxNote+1) + `"}`, form: []string{"text", strings.Repeat("a", maxNote+1)}, said: "longer than"},
		"merge":             {action: "merge", body: `{"into": 43}`, form: []string{"into", "43"}, acted: "merge into 43 by Lin Yue"},
		"merge into itself": {action: "merge", body: `{"into": 42}`, form: []string{"into", "42"}, said: "name another incident"},
		"merge into what":   {action: "merge", said: "name another incident"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, office := newOffice(nil)
			h := newHouse(t, office)
			wantActed := func(way string) {
				t.Helper()
				want := c.acted
				if strings.Contains(want, "%s") {
					want = fmt.Sprintf(want, way)
				}
				if got := strings.Join(h.rooms.acted, "; "); got != want {
					t.Errorf("by %s acted %q, want %q", way, got, want)
				}
				h.rooms.acted = nil
			}
			w := h.ask(t, http.MethodPost, "/api/v1/incidents/42/"+c.action, c.body, "Authorization", "Bearer "+linsToken)
			wantIn(t, w.Body.String(), c.said)
			wantActed("api")
			code, body, to := h.postForm(t, "/incidents/42", append(c.form, "action", c.action)...)
			wantActed("ui")
			if c.acted != "" && (w.Code != 200 || code != 303 || to != "/incidents/42") || c.acted == "" && (w.Code != 400 || code != 400) {
				t.Errorf("answered %d and %d to %q", w.Code, code, to)
			}
			wantIn(t, body, strings.ReplaceAll(c.said, `"`, "&#34;"))
		})
	}
}

// Whoever looks at an incident sees what became of it.
func TestIncidentsSayWhyTheyAreQuiet(t *testing.T) {
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	inc := &h.rooms.story.Incident
	inc.Muted, inc.Policy, inc.Assigned, inc.Reopened, inc.Drill, inc.AlertCount = "silenced by <Lin>", "payments", []string{"wei", "ada"}, 2, true, 1500
	h.rooms.open = []alert.Incident{*inc}
	wantIn(t, h.ask(t, http.MethodGet, "/incidents/42", "").Body.String(), "Nobody is paged for it now: <bdi>silenced by &lt;Lin&gt;</bdi>",
		"wei, ada", "2 times", "This is an exercise", "and 1499 more", `<span class="asof">1500</span>`)
	wantIn(t, h.ask(t, http.MethodGet, "/", "").Body.String(), "muted</span>", `<span class="tag">drill</span>`, "All quiet")
	inc.Muted, inc.SnoozedUntil = "", start.Add(time.Hour)
	wantIn(t, h.ask(t, http.MethodGet, "/incidents/42", "").Body.String(), "Snoozed: nobody is paged", `datetime="2026-11-21T04:21:40Z"`)
	inc.Status, inc.MergedInto, inc.ResolvedAt = alert.Closed, 43, start
	body := h.ask(t, http.MethodGet, "/incidents/42", "").Body.String()
	wantIn(t, body, `<a href="/incidents/43">incident 43</a>`)
	wantNotIn(t, body, "Snoozed", "Silence its alerts", `value="merge"`)
}

func TestMergingWhatCannotBe(t *testing.T) {
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	auth := []string{"Authorization", "Bearer " + linsToken}
	h.rooms.actFail = ErrConflict
	w := h.ask(t, http.MethodPost, "/api/v1/incidents/42/merge", `{"into": 43}`, auth...)
	wantCode(t, w, http.StatusConflict)
	wantIn(t, w.Body.String(), "incident 42 or 43 is already resolved")
	w = h.ask(t, http.MethodPost, "/api/v1/incidents/9/merge", `{"into": 43}`, auth...)
	wantCode(t, w, http.StatusNotFound)
	wantIn(t, w.Body.String(), "no incident 9, or none 43")
}

func TestTheCommandLineSaysWhatItIs(t *testing.T) {
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	for _, way := range []string{"cli", "ui", "x"} {
		h.ask(t, http.MethodPost, "/api/v1/incidents/42/escalate", "", "Authorization", "Bearer "+linsToken, wire.ViaHeader, way)
	}
	if got := strings.Join(h.rooms.acted, "; "); got != "escalate via cli by Lin Yue; escalate via api by Lin Yue; escalate via api by Lin Yue" {
		t.Error(got)
	}
}

func TestDeedsThatAreNotServed(t *testing.T) {
	h := newHouse(t, nil) // without a desk
	wantCode(t, h.ask(t, http.MethodPost, "/api/v1/incidents/42/escalate", "", "Authorization", "Bearer "+linsToken), http.StatusNotFound)
	code, _, _ := h.postForm(t, "/incidents/42", "action", "escalate")
	if code != http.StatusBadRequest || len(h.rooms.acted) > 0 {
		t.Errorf("answered %d, acted %v", code, h.rooms.acted)
	}
	wantNotIn(t, h.ask(t, http.MethodGet, "/incidents/42", "").Body.String(), "Snooze")
}

// A form that another site makes a browser send is refused, token or not.
func TestFormsOfOtherSites(t *testing.T) {
	_, m, office := newOffice(nil)
	h := newHouse(t, office)
	for target, form := range map[string]string{
		"/incidents/42": "action=resolve", "/silences": "matchers=a%3Db&for=1h", "/oncall": "end=1", "/drills": "to=schedule:payments",
	} {
		for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://evil.example"}} {
			w := h.ask(t, http.MethodPost, target, form+"&token="+linsToken, append(header, "Content-Type", formType)...)
			wantCode(t, w, http.StatusForbidden)
		}
		w := h.ask(t, http.MethodPost, target, form, "Content-Type", formType, "Sec-Fetch-Site", "same-origin")
		wantCode(t, w, http.StatusUnauthorized)
	}
	if len(h.rooms.acted)+len(m.acted) > 0 {
		t.Errorf("acted %v, %v", h.rooms.acted, m.acted)
	}
}

var linkKey = []byte("0123456789abcdef0123456789abcdef")

func TestAckLinks(t *testing.T) {
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	link, ok := strings.CutPrefix(AckLink(linkKey, "https://midwatch.example.com/", 42, "林 <b>", start.Add(time.Hour)), "https://midwatch.example.com")
	if !ok {
		t.Fatal(link)
	}
	for range 2 { // a scanner follows the link
		w := h.ask(t, http.MethodGet, link, "")
		wantCode(t, w, http.StatusOK)
		wantIn(t, w.Body.String(), "payments burn their budget", `method="post"`, "林 &lt;b&gt;")
	}
	if len(h.rooms.acted) > 0 {
		t.Fatalf("a GET acted: %v", h.rooms.acted)
	}
	w := h.ask(t, http.MethodPost, link, "")
	wantCode(t, w, http.StatusOK)
	wantIn(t, w.Body.String(), "Acknowledged. Nobody else is paged")
	if got := strings.Join(h.rooms.acted, "; "); got != "ack by 林 <b>" {
		t.Errorf("acted %s", got)
	}
	h.rooms.actFail = ErrConflict
	w = h.ask(t, http.MethodPost, link, "")
	wantCode(t, w, http.StatusConflict)
	wantIn(t, w.Body.String(), "resolved already")
	wantNotIn(t, h.log.String(), strings.Split(link, ".")[2]) // the log names paths
}

func TestAckLinksThatDoNotHold(t *testing.T) {
	_, _, office := newOffice(nil)
	h := newHouse(t, office)
	good := AckLink(linkKey, "", 42, "lin", start.Add(time.Minute))
	head, signature := good[:strings.LastIndex(good, ".")], good[strings.LastIndex(good, ".")+1:]
	for name, c := range map[string]struct {
		link string
		code int
	}{
		"good":             {good, 200},
		"expired":          {AckLink(linkKey, "", 42, "lin", start), 410},
		"another key":      {AckLink([]byte("another key, as long as the first"), "", 42, "lin", start.Add(time.Hour)), 403},
		"another incident": {strings.Replace(good, "/42/", "/43/", 1), 403},
		"another user":     {strings.Replace(good, ".bGlu.", ".d2Vp.", 1), 403},
		"later":            {strings.Replace(good, "/a/42/1", "/a/42/2", 1), 403},
		"no signature":     {head + ".", 403},
		"half a signature": {head + "." + signature[:20], 403},
		"signature twice":  {head + "." + signature + "." + signature, 403},
		"no dots":          {"/a/42/x", 403},
		"endless":          {"/a/42/" + strings.Repeat("a.", 4000), 403},
		"absurd incident":  {strings.Replace(good, "/42/", "/042/", 1), 404},
		"unknown incident": {AckLink(linkKey, "", 7, "lin", start.Add(time.Hour)), 404},
	} {
		w := h.ask(t, http.MethodGet, c.link, "")
		if w.Code != c.code {
			t.Errorf("%s: answered %d, want %d", name, w.Code, c.code)
		}
		if c.code != 200 {
			h.ask(t, http.MethodPost, c.link, "")
		}
	}
	if len(h.rooms.acted) > 0 {
		t.Errorf("acted %v", h.rooms.acted)
	}
	for _, link := range []string{
		AckLink(nil, "", 42, "lin", start), AckLink(linkKey, "", 42, "", start), AckLink(linkKey, "", 42, "\xff", start), AckLink(linkKey, "", 42, strings.Repeat("a", 201), start),
	} {
		if link != "" {
			t.Errorf("made %q", link)
		}
	}
	h.LinkKey = nil // no key signs nothing
	wantCode(t, h.ask(t, http.MethodGet, AckLink([]byte{0}, "", 42, "lin", start.Add(time.Hour)), ""), http.StatusForbidden)
}

func FuzzAckLink(f *testing.F) {
	good := AckLink(linkKey, "", 42, "lin", start.Add(time.Minute))
	f.Add(strings.TrimPrefix(good, "/a/42/"))
	f.Add("1.bGlu.")
	f.Add("..")
	f.Fuzz(func(t *testing.T, part string) {
		user, err := readLink(linkKey, 42, part, start)
		if err == nil && (user != "lin" || "/a/42/"+part != good) {
			t.Fatalf("%q is a link of %q", part, user)
		}
	})
}

// A drill stands below what is wrong, whatever its level.
func TestDrillsComeLast(t *testing.T) {
	h := newHouse(t, nil)
	drill, wrong := h.rooms.story.Incident, h.rooms.story.Incident
	drill.ID, drill.Title, drill.Level, drill.Drill = 7, "An exercise", alert.P1, true
	wrong.ID, wrong.Title, wrong.Level = 8, "The queue is stuck", alert.P3
	rows, _ := h.incidentRows([]alert.Incident{drill, wrong}, start)
	if rows[0].ID != wrong.ID || rows[1].ID != drill.ID {
		t.Errorf("the rows are %+v", rows)
	}
}
