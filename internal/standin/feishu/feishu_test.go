package feishu

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestRobot(t *testing.T) {
	now := time.Unix(1599360473, 0)
	s := New(Config{Token: "token", Secret: "demo", Keyword: "P1", Now: func() time.Time { return now }})
	const sign = `"timestamp":"1599360473","sign":"l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="`
	say := func(token, body string) int {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/open-apis/bot/v2/hook/"+token, strings.NewReader(body)))
		var a answer
		if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return a.Code
	}
	good := `{` + sign + `,"msg_type":"text","content":{"text":"P1 <at user_id=\"ou_1\"></at>"}}`
	for name, tt := range map[string]struct {
		token, body string
		want        int
	}{
		"no robot":     {"other", good, 19001},
		"no signature": {"token", `{"msg_type":"text","content":{"text":"P1"}}`, 19021},
		"no keyword":   {"token", `{` + sign + `,"msg_type":"text","content":{"text":"P2"}}`, 19024},
		"too long":     {"token", `{` + sign + `,"msg_type":"text","content":{"text":"P1` + strings.Repeat("x", MaxBody) + `"}}`, 9499},
		"no type":      {"token", `{` + sign + `,"content":{"text":"P1"}}`, 19002},
		"not JSON":     {"token", `{`, 9499},
		"good":         {"token", good, 0},
	} {
		if got := say(tt.token, tt.body); got != tt.want {
			t.Errorf("%s: code %d, want %d", name, got, tt.want)
		}
	}
	if m := s.Messages(); len(m) != 1 || strings.Join(m[0].Called, " ") != "ou_1" {
		t.Errorf("arrived: %+v", m)
	}
	for range PerSecond {
		say("token", good)
	}
	if n := s.Counts().Limited; n != 1 {
		t.Errorf("%d refused in one second", n)
	}
	now = now.Add(time.Hour)
	if got := say("token", good); got != 19021 {
		t.Errorf("an old signature: code %d", got)
	}
}
