package wecom

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

type company struct {
	*Server
	now time.Time
}

func newCompany() *company {
	c := &company{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	c.Server = New(Config{
		CorpID: "ww1", Secret: "s&+/", AgentID: 7, Members: []string{"LiWei"}, TokenLifetime: time.Hour,
		Now: func() time.Time { return c.now },
	})
	return c
}

func (c *company) ask(t *testing.T, method, path string, body string) answer {
	t.Helper()
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return a
}

func (c *company) login(t *testing.T) string {
	t.Helper()
	return c.ask(t, http.MethodGet, "/cgi-bin/gettoken?"+url.Values{"corpid": {"ww1"}, "corpsecret": {"s&+/"}}.Encode(), "").AccessToken
}

func (c *company) tell(t *testing.T, token, body string) answer {
	t.Helper()
	return c.ask(t, http.MethodPost, "/cgi-bin/message/send?access_token="+token, body)
}

func textTo(user, content string) string {
	b, _ := json.Marshal(map[string]any{"touser": user, "msgtype": "text", "agentid": 7, "text": map[string]string{"content": content}, "enable_duplicate_check": 1})
	return string(b)
}

func TestCredentials(t *testing.T) {
	c := newCompany()
	for query, want := range map[string]int{
		"": 41002, "corpid=ww1": 41004, "corpid=ww2&corpsecret=x": 40013, "corpid=ww1&corpsecret=x": 40001,
	} {
		if a := c.ask(t, http.MethodGet, "/cgi-bin/gettoken?"+query, ""); a.ErrCode != want {
			t.Errorf("%q: %+v, want %d", query, a, want)
		}
	}
	if a := c.tell(t, "", textTo("LiWei", "x")); a.ErrCode != 41001 {
		t.Errorf("no token: %+v", a)
	}
	if a := c.tell(t, "made-up", textTo("LiWei", "x")); a.ErrCode != 40014 {
		t.Errorf("a made-up token: %+v", a)
	}
	token := c.login(t)
	if again := c.login(t); again != token {
		t.Error("asking again gives another token before the first expires")
	}
	c.now = c.now.Add(time.Hour)
	if a := c.tell(t, token, textTo("LiWei", "x")); a.ErrCode != 42001 {
		t.Errorf("an expired token: %+v", a)
	}
	if c.login(t) == token {
		t.Error("an expired token is given again")
	}
}

func TestRequestsThatTheProviderRefuses(t *testing.T) {
	c := newCompany()
	token := c.login(t)
	for body, want := range map[string]int{
		`{`: 40008,
		`{"touser":"LiWei","msgtype":"image","agentid":7}`:                              40008,
		`{"touser":"LiWei","msgtype":"text","agentid":8,"text":{"content":"x"}}`:        40056,
		`{"touser":"LiWei","msgtype":"text","agentid":7,"text":{"content":""}}`:         44004,
		`{"msgtype":"text","agentid":7,"text":{"content":"x"}}`:                         40031,
		`{"touser":"Ana|Bob","msgtype":"text","agentid":7,"text":{"content":"x"}}`:      81013,
		`{"touser":"liwei|Ana","msgtype":"text","agentid":7,"text":{"content":"part"}}`: 0,
	} {
		a := c.tell(t, token, body)
		if a.ErrCode != want {
			t.Errorf("%s: %+v, want %d", body, a, want)
		}
		if want == 81013 && a.InvalidUser != "ana|bob" || want == 0 && a.InvalidUser != "ana" {
			t.Errorf("%s: invaliduser %q", body, a.InvalidUser)
		}
	}
	if got := c.Messages(); len(got) != 1 || got[0].To != "liwei" || got[0].Text != "part" {
		t.Errorf("arrived: %+v", got)
	}
}

func TestLimits(t *testing.T) {
	c := newCompany()
	token := c.login(t)
	c.tell(t, token, textTo("LiWei", strings.Repeat("长", 700)))
	if m := c.Messages()[0]; !m.Cut || len(strings.TrimSuffix(m.Text, "\uFFFD")) != 2046 {
		t.Errorf("2,100 bytes arrive as %d, cut %v", len(m.Text), m.Cut)
	}
	for i := range PerMinute + 5 {
		if a := c.tell(t, token, textTo("LiWei", fmt.Sprint(i))); a.ErrCode != 0 {
			t.Fatalf("message %d: %+v", i, a)
		}
	}
	if n, dropped := len(c.Messages()), c.Counts().Dropped; n != PerMinute || dropped != 6 {
		t.Errorf("%d arrived and %d were dropped", n, dropped)
	}
	c.now = c.now.Add(time.Minute)
	c.tell(t, token, textTo("LiWei", "a minute later"))
	c.tell(t, token, textTo("LiWei", "a minute later"))
	if n, duplicates := len(c.Messages()), c.Counts().Duplicates; n != PerMinute+1 || duplicates != 1 {
		t.Errorf("%d arrived, %d duplicates", n, duplicates)
	}
	c.now = c.now.Add(31 * time.Minute) // past the default interval of 30 minutes
	c.tell(t, token, textTo("LiWei", "a minute later"))
	if n := len(c.Messages()); n != PerMinute+2 {
		t.Errorf("%d arrived", n)
	}
}

func TestPageShowsWhatArrivedAndRunsNothing(t *testing.T) {
	c := newCompany()
	c.tell(t, c.login(t), textTo("LiWei", "P1 <script>alert(1)</script> see https://example.com/incidents/1\nnow"))
	w := httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	body := w.Body.String()
	if strings.Contains(body, "<script") || !strings.Contains(body, "P1 &lt;script&gt;") || !strings.Contains(body, `href="https://example.com/incidents/1"`) {
		t.Errorf("the page: %s", body)
	}
	if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") {
		t.Errorf("policy %q", csp)
	}
}
