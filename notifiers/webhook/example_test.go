package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers/webhook"
)

// verified tells whether Midwatch has sent a body in the last five minutes.
func verified(h http.Header, body []byte, secret string, now time.Time) bool {
	timestamp := h.Get("X-Midwatch-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	want := "v1=" + hex.EncodeToString(mac.Sum(nil))
	return hmac.Equal([]byte(want), []byte(h.Get("X-Midwatch-Signature")))
}

func ExampleSign() {
	body := []byte(`{"version":"4"}`)
	r := httptest.NewRequest(http.MethodPost, "/", nil)
	r.Header.Set(webhook.HeaderTimestamp, "1700000000")
	r.Header.Set(webhook.HeaderSignature, webhook.Sign(secret.New("a secret"), "1700000000", body))
	now := time.Unix(1700000060, 0)
	fmt.Println(verified(r.Header, body, "a secret", now))
	fmt.Println(verified(r.Header, body, "another", now))
	fmt.Println(verified(r.Header, body, "a secret", now.Add(time.Hour)))
	// Output:
	// true
	// false
	// false
}

// TestTheDocumentShowsWhatIsTested keeps the document's way to verify a call
// the one that the example runs.
func TestTheDocumentShowsWhatIsTested(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/channels/webhook.md")
	if err != nil {
		t.Fatal(err)
	}
	_, function, _ := strings.Cut(string(source), "// verified tells")
	function, _, _ = strings.Cut(function, "\n}\n")
	if !strings.Contains(string(document), "// verified tells"+function+"\n}\n") {
		t.Errorf("docs/channels/webhook.md does not show\n// verified tells%s\n}", function)
	}
}
