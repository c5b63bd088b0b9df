package federation

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/common/config"
)

// tokenTimeout bounds what it takes to get an OAuth2 token: a connection to
// the token endpoint lives no longer.
const tokenTimeout = 10 * time.Second

// newClient returns a client that keeps connections and has no deadline of
// its own: every request brings one. dialed is told how long each connection
// took to be made, without the look-up of the name.
func newClient(h HTTP, dialed func(time.Duration)) (*http.Client, error) {
	c, err := h.clientConfig()
	if err != nil {
		return nil, err
	}
	auth := c.OAuth2
	c.OAuth2 = nil
	rt, err := config.NewRoundTripperFromConfig(c, "federation", config.WithDialContextFunc(dial(dialed)), config.WithIdleConnTimeout(90*time.Second))
	if err != nil {
		return nil, fmt.Errorf("make an HTTP client: %w", err)
	}
	if auth != nil {
		rt = authorized(auth, rt)
	}
	client := &http.Client{Transport: rt}
	if !c.FollowRedirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	return client, nil
}

// dial returns a function that makes connections.
func dial(dialed func(time.Duration)) config.DialContextFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var begun atomic.Int64
		d := net.Dialer{
			Timeout: 10 * time.Second, KeepAlive: 30 * time.Second,
			ControlContext: func(context.Context, string, string, syscall.RawConn) error {
				begun.Store(time.Now().UnixNano())
				return nil
			},
		}
		conn, err := d.DialContext(ctx, network, address)
		if err == nil {
			dialed(time.Since(time.Unix(0, begun.Load())))
		}
		return conn, err
	}
}

// authorized gives each request an OAuth2 token. Prometheus' client fetches
// tokens without regard to the deadline of the request that needs one.
func authorized(auth *config.OAuth2, next http.RoundTripper) http.RoundTripper {
	brief := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{Timeout: tokenTimeout}).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return conn, conn.SetDeadline(time.Now().Add(tokenTimeout))
	}
	var grounds config.SecretReader = config.NewInlineSecret(string(auth.ClientSecret))
	switch {
	case auth.ClientSecretFile != "":
		grounds = config.NewFileSecret(auth.ClientSecretFile)
	case auth.ClientCertificateKeyFile != "":
		grounds = config.NewFileSecret(auth.ClientCertificateKeyFile)
	case auth.ClientCertificateKey != "":
		grounds = config.NewInlineSecret(string(auth.ClientCertificateKey))
	}
	return &impatient{next: config.NewOAuth2RoundTripper(grounds, auth, marking{next}, config.WithDialContextFunc(brief), config.WithKeepAlivesDisabled())}
}

// reachedKey is the context key of what tells that a request has its token.
type reachedKey struct{}

// marking notes that a request came so far.
type marking struct{ http.RoundTripper }

// RoundTrip sends the request.
func (m marking) RoundTrip(req *http.Request) (*http.Response, error) {
	if reached, ok := req.Context().Value(reachedKey{}).(*atomic.Bool); ok {
		reached.Store(true)
	}
	return m.RoundTripper.RoundTrip(req)
}

// CloseIdleConnections closes kept connections.
func (m marking) CloseIdleConnections() { closeIdle(m.RoundTripper) }

// impatient does not wait longer than the request's context, whatever the
// token endpoint does.
type impatient struct {
	next http.RoundTripper

	// The library's own closing does not wait for requests that still change
	// what is closed.
	mu      sync.Mutex
	running int
	closing bool // once nothing runs
}

// RoundTrip sends the request. An error that comes before there is a token is
// a tokenError.
func (i *impatient) RoundTrip(req *http.Request) (*http.Response, error) {
	type result struct {
		resp *http.Response
		err  error
	}
	reached, done := new(atomic.Bool), make(chan result, 1)
	ctx := req.Context()
	i.begin()
	go func() {
		defer i.end()
		resp, err := i.next.RoundTrip(req.WithContext(context.WithValue(ctx, reachedKey{}, reached))) //nolint:bodyclose // by who takes the result.
		if err != nil && !reached.Load() {
			err = tokenError{err}
		}
		done <- result{resp, err}
	}()
	select {
	case r := <-done:
		return r.resp, r.err
	case <-ctx.Done():
	}
	go func() {
		if r := <-done; r.resp != nil {
			r.resp.Body.Close()
		}
	}()
	if !reached.Load() {
		return nil, tokenError{ctx.Err()}
	}
	return nil, ctx.Err()
}

func (i *impatient) begin() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running++
}

func (i *impatient) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.running--
	i.close()
}

// close closes kept connections if that is due. The caller holds the lock.
func (i *impatient) close() {
	if i.closing && i.running == 0 {
		i.closing = false
		closeIdle(i.next)
	}
}

// CloseIdleConnections closes kept connections, once no request is before its
// answer.
func (i *impatient) CloseIdleConnections() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closing = true
	i.close()
}

func closeIdle(rt http.RoundTripper) {
	if c, ok := rt.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
