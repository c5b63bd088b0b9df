package wecom

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/notifiers/provider"
)

// api speaks to the provider.
type api struct {
	config Config
	client *provider.Client
}

func newAPI(c Config) *api { return &api{c, provider.NewClient(c.Transport, c.Now)} }

// answer is what the provider says, errors in a 200 too.
type answer struct {
	ErrCode        *int   `json:"errcode"`
	ErrMsg         string `json:"errmsg"`
	AccessToken    string `json:"access_token"`
	ExpiresIn      int64  `json:"expires_in"`
	InvalidUser    names  `json:"invaliduser"`
	UnlicensedUser names  `json:"unlicenseduser"`
	ResponseCode   string `json:"response_code"`
}

// names is a list of members, which the provider writes as "a|b" in one
// answer and as ["a", "b"] in another.
type names []string

// UnmarshalJSON reads both; what is neither is no names.
func (n *names) UnmarshalJSON(b []byte) error {
	var joined string
	if json.Unmarshal(b, &joined) == nil {
		*n = strings.Split(joined, "|")
		return nil
	}
	var list []string
	_ = json.Unmarshal(b, &list)
	*n = list
	return nil
}

// has tells whether a member is named, whom the provider writes in lower case.
func (n names) has(member string) bool {
	for _, name := range n {
		if name != "" && strings.EqualFold(name, member) {
			return true
		}
	}
	return false
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

// The calls that take a token.
const (
	pathSend   = "/cgi-bin/message/send"
	pathUpdate = "/cgi-bin/message/update_template_card"
)

func (a *api) post(ctx context.Context, path, token string, body []byte) (answer, error) {
	got, err := a.do(ctx, http.MethodPost, path, url.Values{"access_token": {token}}, body)
	if err != nil {
		what := "send message"
		if path == pathUpdate {
			what = "update card"
		}
		return got, fmt.Errorf("%s: %w", what, err)
	}
	return got, nil
}

// do makes one call. The query holds secrets: nothing that it returns names
// the URL.
func (a *api) do(ctx context.Context, method, path string, query url.Values, body []byte) (answer, error) {
	content, err := a.client.Do(ctx, method, a.config.APIURL+path+"?"+query.Encode(), body)
	if err != nil {
		return answer{}, err
	}
	return read(content)
}

func read(content []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(content, &a); err != nil || a.ErrCode == nil {
		return answer{}, errors.New("the answer is not what WeCom would say")
	}
	if *a.ErrCode != 0 {
		return a, &provider.Refusal{Code: *a.ErrCode, Message: provider.Plain(a.ErrMsg)}
	}
	return a, nil
}

// The errcodes that another token mends: invalid credential, invalid token,
// expired token.
func aboutToken(r *provider.Refusal) bool {
	return r.Code == 40001 || r.Code == 40014 || r.Code == 42001
}

// passing are the errcodes that pass, and how long the provider blocks for:
// what is blocked for a rate by the minute is so for 60 seconds. All others
// are permanent, 81013 (nobody whom the application may write to) among them,
// so that the page goes another way
// (https://developer.work.weixin.qq.com/document/path/90313).
func passing() provider.Waits {
	return provider.Waits{
		-1:    2 * time.Second,  // system busy
		6000:  2 * time.Second,  // data of different versions
		40014: 5 * time.Second,  // a token that was just given is not known everywhere yet
		42001: 5 * time.Second,  // the same
		45009: 60 * time.Second, // called too often
		45033: 2 * time.Second,  // called too often at once
	}
}
