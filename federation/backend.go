package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/federation/plan"
)

const (
	maxBuildInfoBytes = 64 << 10
	maxVersionLength  = 64

	// backendTTL is how long it is believed what a server is.
	backendTTL = 30 * time.Second
)

// kind is what a server is.
type kind int

const (
	unknownKind kind = iota
	prometheusKind
	thanosKind
	mimirKind
	victoriaKind
)

// String returns the name of the product, "" where it is unknown.
func (k kind) String() string {
	return []string{"", "Prometheus", "Thanos", "Mimir", "VictoriaMetrics"}[k]
}

// backend is what a server says it is.
type backend struct {
	kind    kind
	version string // "" when it does not tell
	closed  bool   // its ranges and its lookback are closed on the left, as those of Prometheus 2
	altered bool   // what it evaluates may not be what Prometheus evaluates by default
}

// pushes returns what the server, which is b, evaluates as Prometheus 3 does.
// Ranges and lookback of Prometheus 2 are closed on the left, and so are those
// of what is built of it; Thanos, Mimir and others that are built of Prometheus,
// as what serves remote read is, have its engine of whatever version, which
// evaluates selectors alike; VictoriaMetrics has one of its own.
func (r *replica) pushes(b backend) plan.Pushes {
	switch major, _, _ := strings.Cut(b.version, "."); {
	case b.kind == victoriaKind, b.closed, b.altered, b.kind == unknownKind && r.remoteRead.Load() != readWorks:
		return plan.PushNothing
	case b.kind == prometheusKind && atLeast(major, 3):
		return plan.PushAll
	}
	return plan.PushSelectors
}

func atLeast(number string, least int) bool {
	n, err := strconv.Atoi(number)
	return err == nil && n >= least
}

// params returns what to set in a question so that the answer is whole or an
// error: Thanos answers without a store that is away, and a VictoriaMetrics of
// several without one of them.
func (b backend) params() url.Values {
	switch b.kind {
	case victoriaKind:
		return url.Values{"deny_partial_response": {"1"}}
	case thanosKind:
	default:
		return nil
	}
	return url.Values{"partial_response": {"false"}, "dedup": {"true"}, "max_source_resolution": {"0s"}}
}

// parseBackend reads what a server answers to /api/v1/status/buildinfo.
func parseBackend(body []byte) (backend, error) {
	var answer struct {
		Data struct {
			Application string `json:"application"`
			Version     string `json:"version"`
			Revision    string `json:"revision"`
			GoVersion   string `json:"goVersion"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return backend{}, fmt.Errorf("read build information: %w", err)
	}
	d := answer.Data
	if len(d.Version) > maxVersionLength || strings.ContainsFunc(d.Version, func(r rune) bool { return r < '!' || r > '~' }) {
		return backend{}, errors.New("read build information: the version is not valid")
	}
	b := backend{version: d.Version}
	switch {
	case d.Application != "":
		if strings.Contains(d.Application, "Mimir") {
			b.kind = mimirKind
		}
	case d.Version == "2.24.0" && d.Revision == "" && d.GoVersion == "": // what it says for Grafana's sake
		b = backend{kind: victoriaKind}
	case strings.HasPrefix(d.Version, "0."):
		b.kind = thanosKind
	case strings.HasPrefix(d.Version, "2."), strings.HasPrefix(d.Version, "3."):
		b.kind = prometheusKind
	}
	return b, nil
}

// belief is what a server was last heard to say of itself.
type belief[T any] struct {
	ttl   time.Duration
	turn  chan struct{} // of capacity 1: holds a token while the server is asked
	mu    sync.Mutex
	known bool
	value T
	since time.Time // of the last answer
}

func newBelief[T any](ttl time.Duration) *belief[T] {
	return &belief[T]{ttl: ttl, turn: make(chan struct{}, 1)}
}

// get returns what is believed, and asks for it when that is old.
func (b *belief[T]) get(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	var none T
	if value, fresh := b.fresh(); fresh {
		return value, nil
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return none, ctx.Err()
	}
	if value, fresh := b.fresh(); fresh {
		return value, nil
	}
	value, err := ask(ctx)
	if err != nil {
		return none, err
	}
	b.set(value)
	return value, nil
}

func (b *belief[T]) set(value T) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known, b.value, b.since = true, value, time.Now()
}

func (b *belief[T]) fresh() (T, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.known && time.Since(b.since) < b.ttl
}

// last returns what was heard last, however old, and whether anything was.
func (b *belief[T]) last() (T, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.value, b.known
}

// inherit takes over what another one knows.
func (b *belief[T]) inherit(from *belief[T]) {
	from.mu.Lock()
	defer from.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known, b.value, b.since = from.known, from.value, from.since
}

// backend returns what the server is. An error means that it cannot be
// reached.
func (r *replica) backend(ctx context.Context) (backend, error) {
	return r.is.get(ctx, r.askBackend)
}

// askBackend asks the server what it is and how its PromQL differs. That it
// does not tell is no error.
func (r *replica) askBackend(ctx context.Context) (backend, error) {
	b, err := r.askBuildInfo(ctx)
	if err != nil {
		return b, err
	}
	return r.examine(ctx, b)
}

func (r *replica) askBuildInfo(ctx context.Context) (backend, error) {
	resp, err := r.get(ctx, "status/buildinfo")
	if err != nil {
		return backend{}, err
	}
	defer resp.Body.Close()
	if troubled(resp.StatusCode) {
		return backend{}, statusError(resp.StatusCode)
	}
	if resp.StatusCode != http.StatusOK {
		return backend{}, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuildInfoBytes))
	if err != nil {
		return backend{}, fmt.Errorf("read build information: %w", err)
	}
	b, err := parseBackend(body)
	if err != nil {
		return backend{}, nil //nolint:nilerr // then it does not tell.
	}
	if b.kind == unknownKind && resp.Header.Get("X-Server-Hostname") != "" { // older ones tell nothing else
		b.kind = victoriaKind
	}
	return b, nil
}

// troubled tells whether a status says that the server, or one before it, is
// in trouble just now, rather than that it does not serve something.
func troubled(status int) bool {
	return status >= http.StatusInternalServerError && status != http.StatusNotImplemented || status == http.StatusTooManyRequests
}

// examine finds out in which way the PromQL of a server differs from that of a
// Prometheus 3 with its defaults. What cannot be found out counts as different.
func (r *replica) examine(ctx context.Context, b backend) (backend, error) {
	var err error
	switch b.kind {
	case victoriaKind:
	case prometheusKind:
		b.closed = strings.HasPrefix(b.version, "2.")
		b.altered, err = r.askFeatures(ctx)
	default:
		var known bool
		b.closed, known, err = r.askEdge(ctx, b)
		b.altered = !known
	}
	return b, err
}

// altering are the features of Prometheus that change what a query answers.
func altering() []string {
	return []string{"promql-delayed-name-removal", "use-start-timestamps", "type-and-unit-labels"}
}

// askFeatures returns whether a Prometheus has features switched on that change
// answers, as far as one can know: one that does not tell may have them.
func (r *replica) askFeatures(ctx context.Context) (bool, error) {
	var answer struct {
		Data map[string]string `json:"data"`
	}
	if err := r.askSmall(ctx, "status/flags", nil, &answer); err != nil {
		return false, err
	}
	if answer.Data == nil {
		return true, nil
	}
	on := strings.Split(answer.Data["enable-feature"], ",")
	return slices.ContainsFunc(altering(), func(f string) bool { return slices.Contains(on, f) }), nil
}

// askEdge returns whether ranges are closed on the left: of the points at 0, 1
// and 2 minutes, such a range of 2 minutes holds three.
func (r *replica) askEdge(ctx context.Context, b backend) (closed, known bool, err error) {
	var answer struct {
		Data struct {
			Result []struct {
				Value [2]any `json:"value"`
			} `json:"result"`
		} `json:"data"`
	}
	form := with(b.params(), url.Values{"query": {"count_over_time(vector(1)[2m:1m])"}, "time": {"120"}})
	err = r.askSmall(ctx, "query", form, &answer)
	if _, answered := errors.AsType[statusError](err); answered {
		return false, false, nil
	}
	if err != nil || len(answer.Data.Result) != 1 {
		return false, false, err
	}
	points, _ := answer.Data.Result[0].Value[1].(string)
	return points == "3", points == "2" || points == "3", nil
}

// askSmall reads a small answer, unless it is not a good one. The error is
// that the server does not answer.
func (r *replica) askSmall(ctx context.Context, path string, form url.Values, into any) error {
	req, err := r.question(ctx, path, form)
	if err != nil {
		return fmt.Errorf("write request: %w", err)
	}
	resp, err := r.do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	switch {
	case troubled(resp.StatusCode):
		return statusError(resp.StatusCode)
	case resp.StatusCode != http.StatusOK:
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuildInfoBytes))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	_ = json.Unmarshal(body, into) // else nothing is known
	return nil
}
