package loki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"github.com/grafana/loki/v3/pkg/logcli/client"
	"github.com/grafana/loki/v3/pkg/loghttp"
	"github.com/grafana/loki/v3/pkg/logproto"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 32 << 20

var (
	errTooLarge = errors.New("the answer is larger than 32 MiB")
	errGarbage  = errors.New("the answer is not Loki's")
)

// statusError is an answer other than 2xx.
type statusError struct {
	status string // such as 429 Too Many Requests
	body   []byte // its beginning
	html   bool
}

func (e *statusError) Error() string { return "answered " + e.status }

// trip is the way of one request. logcli's client knows no context and no
// deadline, repeats and prints what fails, and forgets status and body: so
// whatever fails is kept here, and the client is told of an empty answer.
type trip struct {
	ctx  context.Context //nolint:containedctx // logcli's client takes none.
	next http.RoundTripper
	err  error
}

// RoundTrip sends the request within ctx and reads the whole answer.
func (t *trip) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	body, t.err = t.send(req.WithContext(t.ctx))
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: req,
	}, nil
}

func (t *trip) send(req *http.Request) ([]byte, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, t.cause(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		start, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10)) // what arrives of it is enough
		return nil, &statusError{status: statusText(resp.StatusCode), body: start, html: isHTML(resp.Header, start)}
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, t.cause(err)
	case len(body) > maxAnswer:
		return nil, errTooLarge
	case isHTML(resp.Header, body):
		return nil, errGarbage
	}
	return body, nil
}

// cause prefers the end of the context to what it did to the connection.
func (t *trip) cause(err error) error {
	if t.ctx.Err() != nil {
		return t.ctx.Err()
	}
	return err
}

func statusText(code int) string {
	return fmt.Sprintf("%d %s", code, http.StatusText(code))
}

func isHTML(h http.Header, body []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) || bytes.HasPrefix([]byte(h.Get("Content-Type")), []byte("text/html"))
}

// ask runs one call of a fresh client within ctx and the configured timeout.
// The decoders that read the answer are not ours: their panics are errors.
func (s *Source) ask(ctx context.Context, call func(*client.DefaultClient) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	password, bearer, err := s.cfg.secrets()
	if err != nil {
		return err
	}
	t := &trip{ctx: ctx, next: s.transport}
	defer func() {
		if recover() != nil {
			err = errGarbage
		}
		if t.err != nil {
			err = t.err
		}
	}()
	if err := call(&client.DefaultClient{
		Address:     s.cfg.URL,
		OrgID:       s.cfg.Tenant,
		Username:    s.cfg.Username,
		Password:    password.Reveal(),
		BearerToken: bearer.Reveal(),
		Tripperware: func(http.RoundTripper) http.RoundTripper { return t },
	}); err != nil {
		return fmt.Errorf("%w: %w", errGarbage, err)
	}
	return nil
}

// streams returns the labels of the streams that a selector selects.
func (s *Source) streams(ctx context.Context, selector string, from, to time.Time) ([]loghttp.LabelSet, error) {
	var sets []loghttp.LabelSet
	err := s.ask(ctx, func(c *client.DefaultClient) error {
		resp, err := c.Series([]string{selector}, from, to, true)
		if err != nil {
			return err
		}
		if resp.Status != loghttp.QueryStatusSuccess {
			return errGarbage
		}
		sets = resp.Data
		return nil
	})
	return sets, err
}

// entry is a line with the labels of its stream.
type entry struct {
	at     time.Time
	line   string
	labels loghttp.LabelSet
}

// lines returns the newest lines of a window, up to a limit, and whether there
// were more.
func (s *Source) lines(ctx context.Context, query string, w window, limit int) ([]entry, bool, error) {
	entries, err := s.linesUpTo(ctx, query, w, limit)
	if errors.Is(err, errTooLarge) && limit > 10 { // very long lines: fewer of them
		limit /= 10
		entries, err = s.linesUpTo(ctx, query, w, limit)
	}
	return entries, len(entries) >= limit, err
}

func (s *Source) linesUpTo(ctx context.Context, query string, w window, limit int) ([]entry, error) {
	var entries []entry
	err := s.ask(ctx, func(c *client.DefaultClient) error {
		resp, err := c.QueryRange(query, limit, w.from, w.to, logproto.BACKWARD, 0, 0, true)
		if err != nil {
			return err
		}
		streams, ok := resp.Data.Result.(loghttp.Streams)
		if !ok {
			return errGarbage
		}
		for _, stream := range streams {
			for _, e := range stream.Entries {
				entries = append(entries, entry{e.Timestamp, e.Line, stream.Labels})
			}
		}
		return nil
	})
	return entries, err
}

// count returns the value of a metric query that aggregates to one number; an
// empty answer is 0.
func (s *Source) count(ctx context.Context, query string, at time.Time) (int, error) {
	n := 0
	err := s.ask(ctx, func(c *client.DefaultClient) error {
		resp, err := c.Query(query, 1, at, logproto.BACKWARD, true)
		if err != nil {
			return err
		}
		vector, ok := resp.Data.Result.(loghttp.Vector)
		if !ok || len(vector) > 1 {
			return errGarbage
		}
		if len(vector) == 1 {
			v := float64(vector[0].Value)
			if !(v >= 0 && v < math.MaxInt32) {
				return errGarbage
			}
			n = int(v)
		}
		return nil
	})
	return n, err
}
