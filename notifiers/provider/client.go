// Package provider holds what notifiers have in common that call the JSON API
// of a messaging provider over HTTP: calls whose errors name no URL (URLs of
// these providers hold secrets), what an errcode means for a page, and how
// often somebody may be sent something. It knows no provider.
package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
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

// Client calls one provider. It follows no redirects, which would take the
// secrets of a URL elsewhere.
type Client struct {
	http *http.Client
	now  func() time.Time
}

// NewClient returns a client that calls through rt.
func NewClient(rt http.RoundTripper, now func() time.Time) *Client {
	return &Client{now: now, http: &http.Client{Transport: Straight(rt)}}
}

// Straight returns a round tripper whose answers lead nowhere else: an
// http.Client follows no redirect, and no error repeats one, which may have
// the secrets of the URL that was asked for.
func Straight(rt http.RoundTripper) http.RoundTripper { return straight{rt} }

type straight struct{ through http.RoundTripper }

// RoundTrip makes one request.
func (s straight) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := s.through.RoundTrip(req)
	if err == nil && res.StatusCode/100 == 3 {
		res.Header.Del("Location")
	}
	return res, err
}

// CloseIdleConnections closes those of the round tripper below.
func (s straight) CloseIdleConnections() {
	if c, ok := s.through.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Transport returns a transport of its own, by the proxy of the environment.
func Transport() *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		IdleConnTimeout:       time.Minute,
		ResponseHeaderTimeout: 30 * time.Second,
	}
}

// Do sends body as JSON, nothing when it is nil, and returns the body of an
// answer with status 200, at most 64 KiB of it. Another status is a *Refusal.
// No error names the URL.
func (c *Client) Do(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("api_url does not make a URL")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, Unnamed(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if res.StatusCode != http.StatusOK {
		return nil, &Refusal{Status: res.StatusCode, Wait: RetryAfter(res.Header, c.now()), Body: content}
	}
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	return content, nil
}

// Unnamed takes the URL out of an error of the HTTP client.
func Unnamed(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}

// Encode returns v as JSON without escapes such as \u003c, which are
// characters that WeCom refuses (errcode 40033).
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// RetryAfter reads the header of that name (RFC 9110, section 10.2.3), 0 when
// there is none, an hour at most.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil && seconds > 0 {
		return time.Duration(min(seconds, 3600)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil && at.After(now) {
		return min(at.Sub(now), time.Hour)
	}
	return 0
}

// Plain returns a provider's words, which are only for people to read: at most
// 120 printable characters, without the hint, the address and the link that
// WeCom ends them in.
func Plain(message string) string {
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
