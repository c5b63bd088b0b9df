package wecom

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 64 << 10

// api speaks to the provider.
type api struct {
	config Config
	client *http.Client
}

func newAPI(c Config) *api {
	return &api{c, &http.Client{
		Transport: c.Transport,
		// A redirect would take the token elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what the provider says, errors in a 200 too.
type answer struct {
	ErrCode        *int   `json:"errcode"`
	ErrMsg         string `json:"errmsg"`
	AccessToken    string `json:"access_token"`
	ExpiresIn      int64  `json:"expires_in"`
	InvalidUser    string `json:"invaliduser"`
	UnlicensedUser string `json:"unlicenseduser"`
}

func (a *api) token(ctx context.Context) (string, time.Duration, error) {
	query := url.Values{"corpid": {a.config.CorpID}, "corpsecret": {a.config.Secret.Reveal()}}
	got, err := a.do(ctx, http.MethodGet, "/cgi-bin/gettoken", query, nil)
	if err != nil {
		return "", 0, fmt.Errorf("get access token: %w", err)
	}
	if got.AccessToken == "" || got.ExpiresIn <= 0 {
		return "", 0, errors.New("get access token: the answer has none")
	}
	return got.AccessToken, time.Duration(min(got.ExpiresIn, 24*3600)) * time.Second, nil
}

func (a *api) send(ctx context.Context, token string, body []byte) (answer, error) {
	got, err := a.do(ctx, http.MethodPost, "/cgi-bin/message/send", url.Values{"access_token": {token}}, body)
	if err != nil {
		return got, fmt.Errorf("send message: %w", err)
	}
	return got, nil
}

// do makes one call. The query holds secrets: nothing that it returns names
// the URL.
func (a *api) do(ctx context.Context, method, path string, query url.Values, body []byte) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, a.config.APIURL+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return answer{}, errors.New("api_url does not make a URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	res, err := a.client.Do(req)
	if err != nil {
		return answer{}, unnamed(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode != http.StatusOK {
		return answer{}, &refusal{status: res.StatusCode, wait: retryAfter(res.Header, a.config.Now())}
	}
	if err != nil {
		return answer{}, fmt.Errorf("read answer: %w", err)
	}
	return read(content)
}

// unnamed takes the URL out of an error of the HTTP client.
func unnamed(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

func read(content []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(content, &a); err != nil || a.ErrCode == nil {
		return answer{}, errors.New("the answer is not what WeCom would say")
	}
	if *a.ErrCode != 0 {
		return a, &refusal{code: *a.ErrCode, message: plain(a.ErrMsg)}
	}
	return a, nil
}

// plain returns the provider's words, which are only for people to read,
// without what they end in: an address and a hint that differs each time.
func plain(message string) string {
	message, _, _ = strings.Cut(message, ", hint:")
	message = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, message)
	const most = 120
	if runes := []rune(message); len(runes) > most {
		message = string(runes[:most])
	}
	return message
}

// retryAfter reads the header of that name, 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), time.Hour)
	}
	return 0
}

// refusal is an answer that is not yes: an HTTP status that is not 200, or an
// errcode that is not 0.
type refusal struct {
	status  int
	code    int
	message string
	wait    time.Duration
}

// Error names the status, or what the provider says; the errcode is in name.
func (r *refusal) Error() string {
	if r.status != 0 {
		return fmt.Sprintf("HTTP status %d", r.status)
	}
	return r.message
}

func (r *refusal) name() string {
	if r.status != 0 {
		return strconv.Itoa(r.status)
	}
	return errcode(r.code)
}

// The errcodes that another token mends: invalid credential, invalid token,
// expired token.
func (r *refusal) token() bool { return r.code == 40001 || r.code == 40014 || r.code == 42001 }

// waits are the errcodes that pass, and how long the provider blocks for:
// what is blocked for a rate by the minute is so for 60 seconds.
func waits() map[int]time.Duration {
	return map[int]time.Duration{
		-1:    2 * time.Second,  // system busy
		6000:  2 * time.Second,  // data of different versions
		40014: 5 * time.Second,  // a token that was just given is not known everywhere yet
		42001: 5 * time.Second,  // the same
		45009: 60 * time.Second, // called too often
		45033: 2 * time.Second,  // called too often at once
	}
}

// temporary tells whether the same request may be answered otherwise later,
// and when at the earliest. Errcodes that are not known are permanent: the
// provider's are about what was asked, and the page should go another way.
func (r *refusal) temporary() (bool, time.Duration) {
	if r.status != 0 {
		return r.status >= 500 || r.status == http.StatusTooManyRequests || r.status == http.StatusRequestTimeout, r.wait
	}
	wait, ok := waits()[r.code]
	return ok, wait
}
