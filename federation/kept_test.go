package federation_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/secret"
)

// hangingUp serves connections of which each answers once, and is closed when
// it is used again, as a proxy does that tires of it just then.
func hangingUp(t *testing.T, answer http.Handler, http2, reset bool) (address string, hungUp *atomic.Int64) {
	t.Helper()
	type connKey struct{}
	hungUp = new(atomic.Int64)
	var mu sync.Mutex
	answered := map[net.Conn]bool{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := r.Context().Value(connKey{}).(net.Conn)
		mu.Lock()
		again := answered[conn]
		answered[conn] = true
		mu.Unlock()
		if !again {
			answer.ServeHTTP(w, r)
			return
		}
		hungUp.Add(1)
		if tcp, ok := conn.(*net.TCPConn); ok && reset {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}))
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		if encrypted, ok := c.(interface{ NetConn() net.Conn }); ok {
			c = encrypted.NetConn()
		}
		return context.WithValue(ctx, connKey{}, c)
	}
	srv.EnableHTTP2 = http2
	if http2 {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(srv.Close)
	return srv.URL, hungUp
}

// A kept connection that the server closes just when it is used again costs
// nobody an answer.
func TestKeptConnectionsThatAreClosed(t *testing.T) {
	up := healthy(t)
	for name, c := range map[string]struct {
		http         federation.HTTP
		http2, reset bool
	}{
		"closed":          {},
		"reset":           {reset: true},
		"with a password": {http: federation.HTTP{BasicAuth: &federation.BasicAuth{Username: "u", Password: secret.New("p")}}},
		"HTTP/2":          {http: federation.HTTP{TLS: federation.TLS{InsecureSkipVerify: true}}, http2: true},
	} {
		t.Run(name, func(t *testing.T) {
			address, hungUp := hangingUp(t, up, c.http2, c.reset)
			api := serve(t, newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "a", URLs: []string{address}, HTTP: c.http}}}).Handler())
			form := url.Values{"query": {"sum(up) + 0 * " + strings.Repeat("1", 100)}, "time": {fmt.Sprint(dataStart.Unix() + 60)}, "match[]": {"up"}}
			for i := range 12 {
				form.Set("plan", []string{"on", "off"}[i%2])
				for _, path := range []string{"query", "series", "label/instance/values"} {
					if a := ask(t, http.MethodGet, api, "/api/v1/"+path, form); a.status != http.StatusOK || strings.Contains(a.body, "missing") {
						t.Errorf("%s: got %d %s", path, a.status, a.body)
					}
				}
			}
			if hungUp.Load() == 0 {
				t.Error("no connection was used again")
			}
		})
	}
}
