package dingtalk

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRobot(t *testing.T) {
	now := time.UnixMilli(1599360473000)
	s := New(Config{AccessToken: "token", Secret: "SECabc", Keyword: "P1", Now: func() time.Time { return now }})
	signed := url.Values{"access_token": {"token"}, "timestamp": {"1599360473000"}, "sign": {"3SJkK5Fm70JVVkwmvZFkgdPlr53Kn2utLHLz9DzuOSc="}}
	say := func(query url.Values, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/robot/send?"+query.Encode(), strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return a.ErrCode
	}
	good := `{"msgtype":"markdown","markdown":{"title":"P1","text":"@138 see"},"at":{"atMobiles":["138","139"]}}`
	for name, tt := range map[string]struct {
		query url.Values
		body  string
		want  int
	}{
		"no token":     {url.Values{}, good, 400101},
		"no signature": {url.Values{"access_token": {"token"}}, good, 310000},
		"no keyword":   {signed, `{"msgtype":"text","text":{"content":"P2"}}`, 310000},
		"too long":     {signed, `{"msgtype":"text","text":{"content":"P1` + strings.Repeat("x", MaxBody) + `"}}`, 460101},
		"not JSON":     {signed, `{`, 40035},
		"unknown type": {signed, `{"msgtype":"fax","text":{"content":"P1"}}`, 400105},
		"good":         {signed, good, 0},
	} {
		if got := say(tt.query, tt.body); got != tt.want {
			t.Errorf("%s: errcode %d, want %d", name, got, tt.want)
		}
	}
	if m := s.Messages(); len(m) != 1 || strings.Join(m[0].Called, " ") != "138" {
		t.Errorf("arrived: %+v", m)
	}
	for range PerMinute - 1 {
		say(signed, good)
	}
	if got := say(signed, good); got != 410100 {
		t.Errorf("one too many: errcode %d", got)
	}
	now = now.Add(Silence - time.Second)
	if got := say(signed, good); got != 410100 {
		t.Errorf("still silenced: errcode %d", got)
	}
	now = now.Add(time.Hour)
	if got := say(signed, good); got != 310000 {
		t.Errorf("an old signature: errcode %d", got)
	}
}
