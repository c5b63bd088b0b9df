package slack

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slacktest"
)

func workspace() Config {
	return Config{
		BotToken: "xoxb-1", AppToken: "xapp-1", SigningSecret: "s",
		Users:    []User{{ID: "U000001", Name: "ana", Email: "ana@example.com"}, {ID: "U000002", Name: "gone", Deactivated: true}},
		Channels: []Channel{{ID: "C000001", Name: "incidents"}, {ID: "C000002", Name: "other", Outside: true}},
	}
}

// call calls a method and returns its answer.
func call(t *testing.T, s *Server, method string, form url.Values) map[string]any {
	t.Helper()
	if !form.Has("token") {
		form.Set("token", "xoxb-1")
	}
	r := httptest.NewRequest("POST", "/api/"+method, strings.NewReader(form.Encode()))
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var a map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("%s: %d %s", method, w.Code, w.Body)
	}
	return a
}

func TestAnswersAreSlacks(t *testing.T) {
	s := New(workspace())
	hello := func(channel string) url.Values { return url.Values{"channel": {channel}, "text": {"hello"}} }
	for _, tt := range []struct {
		method string
		form   url.Values
		want   string
	}{
		{"chat.postMessage", url.Values{"token": {"xoxb-2"}}, "invalid_auth"},
		{"chat.postMessage", url.Values{"token": {""}}, "not_authed"},
		{"chat.postMessage", hello("C000002"), "not_in_channel"},
		{"chat.postMessage", hello("C999999"), "channel_not_found"},
		{"chat.postMessage", url.Values{"channel": {"C000001"}}, "no_text"},
		{"chat.postMessage", url.Values{"channel": {"C000001"}, "text": {strings.Repeat("长", 40001)}}, "msg_too_long"},
		{"chat.update", url.Values{"channel": {"C000001"}, "ts": {"1.1"}, "text": {"a"}}, "message_not_found"},
		{"chat.update", url.Values{"channel": {"#incidents"}, "ts": {"1.1"}, "text": {"a"}}, "channel_not_found"},
		{"conversations.open", url.Values{"users": {"U000002"}}, "user_disabled"},
		{"users.lookupByEmail", url.Values{"email": {"nobody@example.com"}}, "users_not_found"},
		{"apps.connections.open", url.Values{}, "invalid_auth"},
	} {
		if a := call(t, s, tt.method, tt.form); a["ok"] != false || a["error"] != tt.want {
			t.Errorf("%s %.80v: got %v, want %s", tt.method, tt.form, a, tt.want)
		}
	}
	if len(s.Messages()) != 0 {
		t.Errorf("messages %v", s.Messages())
	}
	for _, channel := range []string{"C000001", "#incidents", "incidents", "U000001"} {
		if a := call(t, s, "chat.postMessage", hello(channel)); a["ok"] != true {
			t.Errorf("%s: %v", channel, a)
		}
	}
}

func repeated(format string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

func TestBlocksAreCheckedByTheDocumentedLimits(t *testing.T) {
	plain := func(n int) string {
		return fmt.Sprintf(`{"type":"plain_text","text":%q}`, strings.Repeat("长", n))
	}
	button := func(id string, text int) string {
		return fmt.Sprintf(`{"type":"button","action_id":%q,"text":%s}`, id, plain(text))
	}
	actions := func(elements string) string { return `{"type":"actions","elements":[` + elements + `]}` }
	for _, tt := range []struct{ at, over string }{ // at the limit, and over it
		{repeated(`{"type":"divider","block_id":"%d"}`, 50), repeated(`{"type":"divider","block_id":"%d"}`, 51)},
		{`{"type":"header","text":` + plain(150) + `}`, `{"type":"header","text":` + plain(151) + `}`},
		{`{"type":"section","text":` + plain(3000) + `}`, `{"type":"section","text":` + plain(3001) + `}`},
		{`{"type":"section","fields":[` + plain(2000) + `]}`, `{"type":"section","fields":[` + plain(2001) + `]}`},
		{`{"type":"section","text":` + plain(1) + `}`, `{"type":"section","text":` + plain(0) + `}`},
		{actions(button("a", 75)), actions(button("a", 76))},
		{actions(button(strings.Repeat("a", 255), 1)), actions(button(strings.Repeat("a", 256), 1))},
		{actions(button("a", 1) + "," + button("b", 1)), actions(button("a", 1) + "," + button("a", 1))},
		{`{"type":"context","elements":[` + plain(3000) + `]}`, `{"type":"context","elements":[]}`},
		{
			`{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"a"}]}]}`,
			`{"type":"rich_text","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":""}]}]}`,
		},
		{`{"type":"divider"}`, `{"type":"marquee"}`},
	} {
		if _, err := readBlocks([]byte("[" + tt.at + "]")); err != nil {
			t.Errorf("at the limit: %v in %.120s", err, tt.at)
		}
		if _, err := readBlocks([]byte("[" + tt.over + "]")); err == nil {
			t.Errorf("over the limit: no error in %.120s", tt.over)
		}
	}
}

func TestWhatAPersonSees(t *testing.T) {
	s := New(workspace())
	call(t, s, "chat.postMessage", url.Values{"channel": {"C000001"}, "text": {"<!here> 1 &lt; 2, see <https://example.com|this> <@U000001>"}})
	m := s.Messages()[0]
	if m.Seen() != "@here 1 < 2, see this (https://example.com) @U000001" || fmt.Sprint(m.Mentions) != "[here U000001]" {
		t.Errorf("sees %q, calls %v", m.Seen(), m.Mentions)
	}
	call(t, s, "chat.postMessage", url.Values{"channel": {"C000001"}, "thread_ts": {m.TS}, "text": {"quiet"}})
	call(t, s, "chat.postMessage", url.Values{"channel": {"C000001"}, "thread_ts": {m.TS}, "text": {"loud"}, "reply_broadcast": {"true"}})
	call(t, s, "chat.update", url.Values{"channel": {"C000001"}, "ts": {m.TS}, "text": {"changed <!channel>"}})
	var got []string
	for _, m := range s.Messages() {
		got = append(got, fmt.Sprintf("%s %v %d %v", m.Text, m.Notifies(), m.Edits, m.Mentions))
	}
	want := "changed @channel true 1 [here U000001]\nquiet false 0 []\nloud true 0 []"
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if !strings.Contains(w.Body.String(), "changed @channel") {
		t.Errorf("the page shows\n%s", w.Body)
	}
}

// TestExtendsSlacktest has slacktest answer as Slack does.
func TestExtendsSlacktest(t *testing.T) {
	s := New(workspace())
	ts := slacktest.NewTestServer(func(c slacktest.Customize) { s.Extend(c) })
	ts.Start()
	defer ts.Stop()
	api := slack.New("xoxb-1", slack.OptionAPIURL(ts.GetAPIURL()))
	channel, at, err := api.PostMessageContext(t.Context(), "#incidents", slack.MsgOptionText("hello", true))
	if err != nil || channel != "C000001" {
		t.Fatalf("%q, %v", channel, err)
	}
	if _, _, _, err := api.UpdateMessageContext(t.Context(), channel, at, slack.MsgOptionText("changed", true)); err != nil || s.Messages()[0].Text != "changed" {
		t.Errorf("%v, %+v", err, s.Messages())
	}
	if _, _, err := api.PostMessageContext(t.Context(), "C000002", slack.MsgOptionText("hello", true)); err == nil || err.Error() != "not_in_channel" {
		t.Errorf("got %v", err)
	}
}
