// Package bounded reads no more of an HTTP answer than a limit: a server may
// answer without end. It neither asks nor decodes.
package bounded

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// ErrTooLarge is the error of reading an answer that is larger than the limit.
var ErrTooLarge = errors.New("the answer is too large")

// Transport is a transport that reads no more than a limit of any answer.
type Transport struct {
	http.RoundTripper
	Most int // bytes
}

// RoundTrip sends a request. Reading more of the answer than the limit is an
// error that is ErrTooLarge.
func (t Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = &body{ReadCloser: resp.Body, left: t.Most, most: t.Most}
	}
	return resp, err
}

// CloseIdleConnections lets go of idle connections.
func (t Transport) CloseIdleConnections() {
	if c, ok := t.RoundTripper.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type body struct {
	io.ReadCloser
	left, most int
}

// Read fails when there is more than the limit.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("%w: it has more than %d MiB", ErrTooLarge, b.most>>20)
	}
	return n, err
}
