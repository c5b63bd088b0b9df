package hook

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

const whole = `{"version":"4","groupKey":"k","truncatedAlerts":0,"status":"firing","receiver":"r","groupLabels":{},"commonLabels":{},` +
	`"commonAnnotations":{},"externalURL":"","alerts":[{"status":"firing","labels":{"a":"b"},"annotations":{},"fingerprint":"f"}]}`

// signature of whole at the second 1700000000, by
//
//	printf '1700000000.%s' "$whole" | openssl dgst -sha256 -hmac secret
const signature = "v1=263b52ba576c6a91ab4976fdb041210cb78a9c543012d5aa931a39571098345f"

func TestTakesWhatIsSignedAndWhole(t *testing.T) {
	at := time.Unix(1700000000, 0)
	for name, tt := range map[string]struct {
		change func(h http.Header)
		body   string
		want   int
	}{
		"as it should be":    {func(http.Header) {}, whole, http.StatusOK},
		"another body":       {func(http.Header) {}, whole + " ", http.StatusUnauthorized},
		"another signature":  {func(h http.Header) { h.Set("X-Midwatch-Signature", "v1=00") }, whole, http.StatusUnauthorized},
		"not signed":         {func(h http.Header) { h.Del("X-Midwatch-Signature") }, whole, http.StatusUnauthorized},
		"another time":       {func(h http.Header) { h.Set("X-Midwatch-Timestamp", "1700000001") }, whole, http.StatusUnauthorized},
		"another type":       {func(h http.Header) { h.Set("Content-Type", "text/plain") }, whole, http.StatusUnsupportedMediaType},
		"no idempotency key": {func(h http.Header) { h.Del("Idempotency-Key") }, whole, http.StatusBadRequest},
	} {
		s := New(Config{Secret: "secret", Now: func() time.Time { return at }})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tt.body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "1")
		r.Header.Set("X-Midwatch-Timestamp", strconv.FormatInt(at.Unix(), 10))
		r.Header.Set("X-Midwatch-Signature", signature)
		tt.change(r.Header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != tt.want || len(s.Calls()) != map[bool]int{true: 1}[tt.want == http.StatusOK] {
			t.Errorf("%s: status %d, %s, %d calls", name, w.Code, w.Body, len(s.Calls()))
		}
	}
}

func TestRefusesWhatIsNotTheFormat(t *testing.T) {
	for name, body := range map[string]string{
		"a member is missing": strings.Replace(whole, `"receiver":"r",`, "", 1),
		"a member is null":    strings.Replace(whole, `"groupLabels":{}`, `"groupLabels":null`, 1),
		"another version":     strings.Replace(whole, `"4"`, `"3"`, 1),
		"another status":      strings.Replace(whole, `"status":"firing","receiver"`, `"status":"resolved","receiver"`, 1),
		"not JSON":            "alert!",
	} {
		s := New(Config{})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", "1")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusBadRequest || len(s.Refused()) != 1 {
			t.Errorf("%s: status %d, %s", name, w.Code, w.Body)
		}
	}
}
