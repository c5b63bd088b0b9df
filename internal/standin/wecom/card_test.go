package wecom

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// withCallback returns a company whose callbacks go to a handler.
func withCallback(t *testing.T, h http.HandlerFunc) *company {
	t.Helper()
	front := httptest.NewServer(h)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		front.Close()
	})
	c := &company{now: time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)}
	c.Server = New(Config{
		CorpID: "ww1", Secret: "s&+/", AgentID: 7, Robots: []string{"robot-key"}, Now: func() time.Time { return c.now },
		CallbackURL: front.URL, CallbackToken: "token", CallbackKey: "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C", Transport: transport,
	})
	return c
}

func cardTo(user, task string) string {
	b, _ := json.Marshal(map[string]any{"touser": user, "msgtype": "template_card", "agentid": 7, "enable_duplicate_check": 1, "template_card": map[string]any{
		"card_type": "button_interaction", "task_id": task, "main_title": map[string]string{"title": "P1 payment"},
		"card_action": map[string]any{"type": 1, "url": "https://example.com/incidents/1"},
		"button_list": []map[string]string{{"text": "Acknowledge", "key": "ack:1"}},
	}})
	return string(b)
}

func (c *company) change(t *testing.T, token, code, rest string) int {
	t.Helper()
	return c.ask(t, http.MethodPost, "/cgi-bin/message/update_template_card?access_token="+token,
		`{"userids":["LiWei"],"agentid":7,"response_code":"`+code+`",`+rest+`}`).ErrCode
}

func TestACodeChangesACardOnceWithin72Hours(t *testing.T) {
	c := withCallback(t, func(http.ResponseWriter, *http.Request) {})
	token := c.login(t)
	code := c.tell(t, token, cardTo("LiWei", "t-1")).Code
	if again := c.tell(t, token, cardTo("LiWei", "t-1")); again.ErrCode != 0 || again.Code != "" || len(c.Messages()) != 1 {
		t.Errorf("the same card again: %+v", again)
	}
	if got := c.change(t, token, "made-up", `"button":{"replace_name":"x"}`); got == 0 {
		t.Error("a made-up code changes a card")
	}
	if got := c.change(t, token, code, `"button":{"replace_name":"Done"}`); got != 0 {
		t.Errorf("errcode %d", got)
	}
	if m := c.Messages()[0]; m.Card.Replaced != "Done" || len(m.Card.Buttons) != 0 || m.Text != "P1 payment\nhttps://example.com/incidents/1" {
		t.Errorf("the card: %+v, %q", m.Card, m.Text)
	}
	if got := c.change(t, token, code, `"button":{"replace_name":"again"}`); got == 0 {
		t.Error("a code changes a card twice")
	}
	code = c.tell(t, token, cardTo("LiWei", "t-2")).Code
	c.now = c.now.Add(CodeLife)
	if got := c.change(t, c.login(t), code, `"button":{"replace_name":"late"}`); got == 0 {
		t.Error("a code changes a card after 72 hours")
	}
}

func TestCardsThatTheProviderRefuses(t *testing.T) {
	c := withCallback(t, func(http.ResponseWriter, *http.Request) {})
	token := c.login(t)
	for name, body := range map[string]string{
		"task": cardTo("LiWei", "not a task"), "type": strings.Replace(cardTo("LiWei", "t"), "button_interaction", "x", 1),
		"no buttons": strings.Replace(cardTo("LiWei", "t"), "button_list", "x", 1),
	} {
		if a := c.tell(t, token, body); a.ErrCode != 40058 {
			t.Errorf("%s: %+v", name, a)
		}
	}
	without := newCompany()
	if a := without.tell(t, without.login(t), cardTo("LiWei", "t")); a.ErrCode != 40058 {
		t.Errorf("without a callback: %+v", a)
	}
}

func TestAClickIsRepeatedUntilItIsAnswered(t *testing.T) {
	answers := []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusOK}
	var asked []url.Values
	c := withCallback(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query())
		w.WriteHeader(answers[min(len(asked), len(answers))-1])
	})
	c.tell(t, c.login(t), cardTo("LiWei", "t-1"))
	m := c.Messages()[0]
	if err := c.Click(t.Context(), m.ID, "LiWei", "ack:1"); err != nil || len(asked) != 3 || asked[0].Get("msg_signature") == "" {
		t.Errorf("%v after %d tries", err, len(asked))
	}
	for _, bad := range [][3]string{{"none", "LiWei", "ack:1"}, {m.ID, "ana", "ack:1"}, {m.ID, "LiWei", "ack:2"}} {
		if err := c.Click(t.Context(), bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%q is a button", bad)
		}
	}
	w := httptest.NewRecorder()
	form := url.Values{"id": {m.ID}, "to": {m.To}, "key": {"ack:1"}}
	r := httptest.NewRequest(http.MethodPost, "/click", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if c.ServeHTTP(w, r); w.Code != http.StatusSeeOther || len(asked) != 4 {
		t.Errorf("a click on the page: status %d, %d callbacks", w.Code, len(asked))
	}
	w = httptest.NewRecorder()
	c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if !strings.Contains(w.Body.String(), `<button name="key" value="ack:1">Acknowledge</button>`) {
		t.Errorf("the page has no button: %s", w.Body)
	}
}

func TestRobots(t *testing.T) {
	c := withCallback(t, func(http.ResponseWriter, *http.Request) {})
	say := func(key, body string) int {
		return c.ask(t, http.MethodPost, "/cgi-bin/webhook/send?key="+key, body).ErrCode
	}
	long := `{"msgtype":"markdown","markdown":{"content":"` + strings.Repeat("x", MaxRobotMarkdown+1) + `"}}`
	if say("other", `{}`) != 93000 || say("robot-key", long) != 40058 || say("robot-key", `{"msgtype":"image"}`) != 40008 {
		t.Error("a wrong message is taken")
	}
	for range RobotPerMinute + 2 {
		if got := say("robot-key", `{"msgtype":"text","text":{"content":"see <@ana>","mentioned_list":["bob"],"mentioned_mobile_list":["138"]}}`); got != 0 {
			t.Errorf("errcode %d", got)
		}
	}
	got := c.Messages()
	if n := c.Counts().Dropped; len(got) != RobotPerMinute || n != 2 || strings.Join(got[0].Mentioned, " ") != "ana bob mobile:138" {
		t.Errorf("%d arrived, %d dropped, %+v", len(got), n, got[0])
	}
}
