package federation

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// posted are the paths that every Prometheus takes by POST too, where a long
// query has room.
func posted() []string {
	return []string{"query", "query_range", "query_exemplars", "series", "labels"}
}

// ask puts a request to a path below /api/v1, such as "query" or "rules", and
// returns the answer, whatever its status, with a body that is not compressed
// any more. The form is sent as the body where the path takes one.
//
// The error is one for cause; it holds neither URLs nor credentials. What the
// body fails with may be given to cause too.
func (r *replica) ask(ctx context.Context, path string, form url.Values) (*http.Response, error) {
	b, err := r.backend(ctx)
	if err != nil {
		return nil, err
	}
	req, err := r.question(ctx, path, with(form, b.params()))
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	if r.compresses() {
		req.Header.Set("Accept-Encoding", "gzip")
	}
	resp, err := r.do(req)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") {
		resp.Header.Del("Content-Encoding")
		resp.Header.Del("Content-Length")
		resp.ContentLength = -1
		resp.Uncompressed = true
		resp.Body = &unzipped{body: resp.Body}
	}
	return resp, nil
}

func (r *replica) question(ctx context.Context, path string, form url.Values) (*http.Request, error) {
	target := r.endpoint(path)
	if !slices.Contains(posted(), path) {
		if len(form) > 0 {
			target += "?" + form.Encode()
		}
		return http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Asking twice does no harm, so a kept connection that turns out to be
	// closed is replaced; an empty value is not sent.
	req.Header["Idempotency-Key"] = []string{}
	return req, nil
}

// with returns a form with more in it.
func with(form, more url.Values) url.Values {
	if len(more) == 0 {
		return form
	}
	all := maps.Clone(form)
	if all == nil {
		all = url.Values{}
	}
	maps.Copy(all, more)
	return all
}

// compression says whether servers are asked to compress what they answer.
type compression string

// The kinds of compression. By default a server is asked to compress when it
// is farther away than nearby: closer than that, compressing takes longer than
// sending.
const (
	autoCompression compression = "auto"
	gzipCompression compression = "gzip"
	noCompression   compression = "none"

	nearby = 5 * time.Millisecond
)

// reachedIn notes how long a connection took to be made. The quickest counts:
// others waited for more than the way.
func (r *replica) reachedIn(d time.Duration) {
	for took := max(1, int64(d)); ; {
		before := r.dialed.Load()
		if before != 0 && before <= took || r.dialed.CompareAndSwap(before, took) {
			return
		}
	}
}

// compresses tells whether answers are worth compressing.
func (r *replica) compresses() bool {
	switch r.compression {
	case gzipCompression:
		return true
	case noCompression:
		return false
	default:
		return time.Duration(r.dialed.Load()) > nearby
	}
}

// unzipped is a compressed body as it was before.
type unzipped struct {
	body io.ReadCloser
	zip  *gzip.Reader
	err  error
}

// Read reads what the server compressed. Bytes that are not gzip are a
// brokenError.
func (u *unzipped) Read(p []byte) (int, error) {
	if u.zip == nil && u.err == nil {
		u.zip, u.err = gzip.NewReader(u.body)
		if errors.Is(u.err, io.EOF) { // not even a header
			u.err = io.ErrUnexpectedEOF
		}
		u.err = notGzip(u.err)
	}
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.zip.Read(p)
	u.err = notGzip(err)
	return n, u.err
}

func notGzip(err error) error {
	var corrupt flate.CorruptInputError
	if errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.As(err, &corrupt) {
		return brokenError("it is said to be gzip, and is not")
	}
	return err
}

// Close closes the body.
func (u *unzipped) Close() error { return u.body.Close() }
