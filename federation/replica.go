package federation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gogo/protobuf/proto"
	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/prompb"
	"github.com/prometheus/prometheus/storage/remote"
)

const (
	streamedType = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
	sampledType  = "application/x-protobuf"

	// identityTTL is how long a server's own external labels are believed.
	identityTTL = 30 * time.Second
	// censusTTL is how long it is believed which labels its series have.
	censusTTL = 30 * time.Second
	// maxAmbiguous bounds the labels told apart by queries of their own: 2^3
	// queries in one request.
	maxAmbiguous = 3
)

// replica is one server of a cluster.
type replica struct {
	base    *url.URL
	client  *http.Client
	breaker *breaker
	own     *belief[map[string]string] // its external labels; nil when it does not tell
	is      *belief[backend]
	census  *belief[census]
	state   serverState
	stores  stores // of a Thanos

	compression compression
	dialed      atomic.Int64 // nanoseconds that the quickest connection took to be made; 0 before the first
	remoteRead  atomic.Int32 // whether it serves remote read: readUntried, readWorks or readRefused
}

// newReplica returns a server of a cluster, at a URL.
func newReplica(c Cluster, raw string) (*replica, error) {
	base, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	r := &replica{
		base: base, breaker: newBreaker(orDefault(c.MaxRequests, DefaultMaxRequests)), compression: compression(c.Compression),
		own: newBelief[map[string]string](identityTTL), is: newBelief[backend](backendTTL),
		census: newBelief[census](censusTTL),
	}
	r.client, err = newClient(c.HTTP, r.reachedIn)
	return r, err
}

// selection is what one selector asks of one cluster.
type selection struct {
	mint, maxt int64
	matchers   []*labels.Matcher
}

// reading is the request for a selection to one server by remote read. The server adds its own
// external labels to every series that lacks them. Those that are not
// configured must not be in the answer, but a label that a series has itself
// must; so what is ambiguous is asked for in parts: with and without it.
type reading struct {
	request   *prompb.ReadRequest
	ambiguous []string          // bit i of a query's index: series have ambiguous[i] themselves
	rest      map[string]string // beyond maxAmbiguous: taken off where the value is the server's
	warned    bool              // the answer came with warnings
}

func newReading(sel selection, own map[string]string, known func(name string) bool) (reading, error) {
	p := reading{rest: map[string]string{}}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		switch {
		case known(name):
		case len(p.ambiguous) < maxAmbiguous:
			p.ambiguous = append(p.ambiguous, name)
		default:
			p.rest[name] = own[name]
		}
	}
	p.request = &prompb.ReadRequest{AcceptedResponseTypes: []prompb.ReadRequest_ResponseType{
		prompb.ReadRequest_STREAMED_XOR_CHUNKS, prompb.ReadRequest_SAMPLES,
	}}
	for mask := range 1 << len(p.ambiguous) {
		query, err := remote.ToQuery(sel.mint, sel.maxt, append(slices.Clone(sel.matchers), p.parts(mask)...), nil)
		if err != nil {
			return p, fmt.Errorf("write matchers: %w", err)
		}
		p.request.Queries = append(p.request.Queries, query)
	}
	return p, nil
}

// parts returns the matchers that tell the series of query mask from those of
// the others.
func (p reading) parts(mask int) []*labels.Matcher {
	ms := make([]*labels.Matcher, len(p.ambiguous))
	for i, name := range p.ambiguous {
		if mask&(1<<i) == 0 {
			ms[i] = labels.MustNewMatcher(labels.MatchEqual, name, "")
		} else {
			ms[i] = labels.MustNewMatcher(labels.MatchRegexp, name, ".+")
		}
	}
	return ms
}

// undo takes off a series what its server alone added.
func (p reading) undo(b *labels.Builder, raw rawSeries) {
	for i, name := range p.ambiguous {
		if raw.query&(1<<i) == 0 {
			b.Del(name)
		}
	}
	for name, value := range p.rest {
		if raw.labels.Get(name) == value {
			b.Del(name)
		}
	}
}

// read asks the server for a selection. budget bounds the bytes it may send.
// A server that does not serve remote read is asked by queries.
func (r *replica) read(ctx context.Context, sel selection, known func(string) bool, budget *budget) (reading, []rawSeries, error) {
	b, err := r.backend(ctx)
	if err != nil {
		return reading{}, nil, err
	}
	if r.readless(b) {
		return r.readByQuery(ctx, b, sel, budget)
	}
	own, err := r.identity(ctx)
	if err != nil {
		return reading{}, nil, err
	}
	p, err := newReading(sel, own, known)
	if err != nil {
		return p, nil, err
	}
	resp, err := r.post(ctx, p.request)
	if err != nil {
		return p, nil, err
	}
	defer resp.Body.Close()
	raw, err := decode(resp, sel, len(p.request.Queries), budget)
	if notServed(err) {
		p, byQuery, err := r.readByQuery(ctx, b, sel, budget)
		if err == nil {
			r.remoteRead.Store(readRefused)
		}
		if !notServed(err) {
			return p, byQuery, err
		}
	}
	if err == nil {
		r.remoteRead.Store(readWorks)
	}
	return p, raw, err
}

// Whether a server serves remote read.
const (
	readUntried int32 = iota
	readWorks
	readRefused
)

// readless tells whether the server, which is b, serves no remote read.
func (r *replica) readless(b backend) bool {
	return b.kind == thanosKind || b.kind == victoriaKind || r.remoteRead.Load() == readRefused
}

// notServed tells whether an answer may be that of a server which does not
// serve what was asked for.
func notServed(err error) bool {
	var status statusError
	if !errors.As(err, &status) {
		return false
	}
	switch int(status) {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

func decode(resp *http.Response, sel selection, queries int, b *budget) ([]rawSeries, error) {
	if resp.StatusCode != http.StatusOK {
		return nil, statusError(resp.StatusCode)
	}
	if !endMarked(resp) {
		return nil, brokenError("its end is not marked, so it may be cut short")
	}
	d := decoder{mint: sel.mint, maxt: sel.maxt, queries: queries, scratch: labels.NewScratchBuilder(16)}
	body := &budgetReader{r: resp.Body, budget: b}
	switch contentType := resp.Header.Get("Content-Type"); {
	case strings.HasPrefix(contentType, streamedType):
		return d.streamed(body)
	case strings.HasPrefix(contentType, sampledType):
		return d.sampled(body, b)
	}
	return nil, brokenError("neither streamed chunks nor samples: is this a Prometheus?")
}

// endMarked tells whether the protocol shows an answer that is cut short. One
// that ends with its connection, as in HTTP/1.0, does not.
func endMarked(resp *http.Response) bool {
	return resp.ProtoMajor > 1 || resp.ContentLength >= 0 || slices.Contains(resp.TransferEncoding, "chunked")
}

func (r *replica) post(ctx context.Context, request *prompb.ReadRequest) (*http.Response, error) {
	plain, err := proto.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	body := bytes.NewReader(snappy.Encode(nil, plain))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.endpoint("read"), body)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	req.Header.Set("Content-Encoding", "snappy")
	req.Header.Set("Accept-Encoding", "snappy")
	req.Header.Set("Content-Type", sampledType)
	req.Header.Set("X-Prometheus-Remote-Read-Version", "0.1.0")
	// Reading twice does no harm, so a kept connection that turns out to be
	// closed is replaced; an empty value is not sent.
	req.Header["Idempotency-Key"] = []string{}
	return r.do(req)
}

func (r *replica) get(ctx context.Context, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.endpoint(path), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	return r.do(req)
}

// do sends a request when the breaker lets it through. Its errors leave out
// the URL.
func (r *replica) do(req *http.Request) (*http.Response, error) {
	if isProbe(req.Context()) {
		return r.send(req)
	}
	if err := r.breaker.enter(req.Context()); err != nil {
		return nil, err
	}
	resp, err := r.send(req)
	r.breaker.judge(resp, err)
	if err != nil {
		r.breaker.leave()
		return nil, err
	}
	resp.Body = &guarded{ReadCloser: resp.Body, breaker: r.breaker}
	return resp, nil
}

func (r *replica) endpoint(path string) string { return r.base.JoinPath("api", "v1", path).String() }

// identity returns the server's own external labels, nil when it does not
// tell. An error means that it cannot be reached.
func (r *replica) identity(ctx context.Context) (map[string]string, error) {
	return r.own.get(ctx, r.askIdentity)
}

// askIdentity asks the server for its external labels. That it does not serve
// its configuration is no error: some have it closed.
func (r *replica) askIdentity(ctx context.Context) (map[string]string, error) {
	resp, err := r.get(ctx, "status/config")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	switch {
	case troubled(resp.StatusCode): // which tells nothing of what it has
		if own, known := r.own.last(); known {
			return own, nil
		}
		return nil, statusError(resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxConfigBytes))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	own, err := parseIdentity(body)
	if err != nil {
		return nil, nil //nolint:nilerr // then it does not tell.
	}
	return own, nil
}
