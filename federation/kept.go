package federation

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
)

// send sends a request, and once more when it went by a kept connection that
// the server closed just then: asking twice does no harm. By HTTP/1 net/http
// does that itself, by HTTP/2 it does not. Its errors leave out the URL.
func (r *replica) send(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "midwatch")
	var kept atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { kept.Store(info.Reused) }}
	resp, err := r.client.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if err != nil && kept.Load() && hungUp(err) && req.Context().Err() == nil {
		if again, rewound := anew(req); rewound == nil {
			resp, err = r.client.Do(again)
		}
	}
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return nil, ue.Err
	}
	return resp, err
}

// anew returns a request with its body from the beginning.
func anew(req *http.Request) (*http.Request, error) {
	again := req.Clone(req.Context())
	if req.Body == nil || req.Body == http.NoBody {
		return again, nil
	}
	if req.GetBody == nil {
		return nil, io.ErrUnexpectedEOF
	}
	var err error
	again.Body, err = req.GetBody()
	return again, err
}

// hungUp tells whether an error is that a connection was closed.
func hungUp(err error) bool {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) ||
		strings.HasPrefix(err.Error(), "http2: client conn") // which has no type
}
