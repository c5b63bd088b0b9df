package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// sentryIssue is a webhook of an issue that is resolved.
const sentryIssue = `{"action": "resolved", "data": {"issue": {"id": "9", "project": {"slug": "web"}}}}`

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

func signatureOf(body, key string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// ingestOf lets everybody send alerts, or whoever has a token; Sentry signs
// when it has a secret.
func ingestOf(t *testing.T, open, sentry bool, token, key string) *Ingest {
	t.Helper()
	var configs []IngestTokenConfig
	if !open {
		configs = []IngestTokenConfig{{Name: "prometheus", Token: secret.New(token), Cluster: "hangzhou"}}
	}
	signed := secret.Secret{}
	if sentry {
		signed = secret.New(key)
	}
	in, err := NewIngest(configs, signed)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestIngestTokensAreChecked(t *testing.T) {
	_, err := NewIngest([]IngestTokenConfig{{Name: "a", Token: secret.New("short")}}, secret.Secret{})
	if err == nil || err.Error() != "ingest_tokens.0.token: needs 8 bytes or more" {
		t.Errorf("got %v", err)
	}
}
