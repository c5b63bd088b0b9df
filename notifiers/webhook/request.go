package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/version"
	"github.com/midwatch-slo/midwatch/page"
)

// Headers of a call.
const (
	HeaderTimestamp = "X-Midwatch-Timestamp" // when it was signed, in seconds since 1970
	HeaderSignature = "X-Midwatch-Signature" // Sign of it
	HeaderKey       = "Idempotency-Key"      // the same for every try of one page
)

// Sign returns "v1=" and the HMAC-SHA256 of the timestamp, a full stop and the
// body, in hexadecimal.
func Sign(key secret.Secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return "v1=" + hex.EncodeToString(mac.Sum(nil))
}

func (n *Notifier) request(ctx context.Context, p page.Page, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, n.config.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("url does not make a request")
	}
	for name, value := range n.config.Headers {
		req.Header.Set(name, value.Reveal())
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", "Midwatch/"+version.Version)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(HeaderKey, headerKey(p.Key))
	timestamp := strconv.FormatInt(n.config.Now().Unix(), 10)
	req.Header.Set(HeaderTimestamp, timestamp)
	if !n.config.Secret.Empty() {
		req.Header.Set(HeaderSignature, Sign(n.config.Secret, timestamp, body))
	}
	return req, nil
}

// headerKey returns the key, or its hash where a header cannot hold it.
func headerKey(key string) string {
	const most = 200
	if len(key) <= most && !strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// redactor takes secrets out of what others say.
type redactor struct{ secrets []secret.Secret }

func newRedactor(c Config) redactor {
	r := redactor{[]secret.Secret{c.Secret, c.URL}}
	add := func(text string, least int) {
		if len(text) >= least {
			r.secrets = append(r.secrets, secret.New(text))
		}
	}
	for _, h := range c.Headers {
		add(h.Reveal(), 4)
		_, credentials, _ := strings.Cut(h.Reveal(), " ") // Bearer …
		add(credentials, 4)
	}
	u, err := url.Parse(c.URL.Reveal())
	if err != nil {
		return r
	}
	add(u.RequestURI(), 8)
	password, _ := u.User.Password()
	add(password, 1)
	add(u.RawQuery, 4)
	for _, values := range u.Query() {
		for _, v := range values {
			add(v, 4)
		}
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		add(part, 16)
	}
	return r
}

func (r redactor) text(text string) string {
	for _, s := range r.secrets {
		text = s.Redact(text)
	}
	return text
}

// error returns err, or its words alone when there is a secret in them.
func (r redactor) error(err error) error {
	if text := err.Error(); r.text(text) != text {
		return errors.New(r.text(text))
	}
	return err
}

// words returns the beginning of an answer on one line, fit for a log.
func (r redactor) words(said []byte) string {
	const most = 200 // characters
	text := strings.Join(strings.Fields(strings.Map(func(c rune) rune {
		if c == utf8.RuneError || (!unicode.IsPrint(c) && !unicode.IsSpace(c)) {
			return -1
		}
		return c
	}, r.text(string(said)))), " ")
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	if text == "" {
		return "the receiver said nothing more"
	}
	return text
}
