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
	"sync"
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
	// maxAmbiguous bounds the labels told apart by queries of their own: 2^3
	// queries in one request.
	maxAmbiguous = 3
)

// replica is one Prometheus server.
type replica struct {
	base   *url.URL
	client *http.Client

	asking   chan struct{} // of capacity 1: holds a token while own is asked for
	ownMu    sync.Mutex
	own      map[string]string // the server's external labels; nil when it does not tell
	ownSince time.Time

	dialed atomic.Int64 // nanoseconds that the last connection took to be made; 0 before the first
}

// newReplica returns a server of a cluster, at a URL.
func newReplica(c Cluster, raw string) (*replica, error) {
	base, err := parseURL(raw)
	if err != nil {
		return nil, err
	}
	r := &replica{base: base, asking: make(chan struct{}, 1)}
	r.client, err = newClient(c.HTTP, c.Name, func(d time.Duration) { r.dialed.Store(max(1, int64(d))) })
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
func (r *replica) read(ctx context.Context, sel selection, known func(string) bool, budget *budget) (reading, []rawSeries, error) {
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
	return p, raw, err
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
		return d.sampled(body, b.limit)
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

// do sends a request. Its errors leave out the URL.
func (r *replica) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "midwatch")
	resp, err := r.client.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return nil, ue.Err
	}
	return resp, err
}

func (r *replica) endpoint(path string) string { return r.base.JoinPath("api", "v1", path).String() }

// identity returns the server's own external labels, nil when it does not
// tell. An error means that it cannot be reached.
func (r *replica) identity(ctx context.Context) (map[string]string, error) {
	own, age := r.believed()
	if age < identityTTL {
		return own, nil
	}
	select {
	case r.asking <- struct{}{}:
		defer func() { <-r.asking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if own, age := r.believed(); age < identityTTL {
		return own, nil
	}
	own, err := r.askIdentity(ctx)
	if err != nil {
		return nil, err
	}
	r.ownMu.Lock()
	defer r.ownMu.Unlock()
	r.own, r.ownSince = own, time.Now()
	return own, nil
}

func (r *replica) believed() (map[string]string, time.Duration) {
	r.ownMu.Lock()
	defer r.ownMu.Unlock()
	return r.own, time.Since(r.ownSince)
}

// askIdentity asks the server for its external labels. That it does not serve
// its configuration is no error: some have it closed.
func (r *replica) askIdentity(ctx context.Context) (map[string]string, error) {
	resp, err := r.get(ctx, "status/config")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
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
