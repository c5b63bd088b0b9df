package federation_test

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"
)

// gate stands before a real server: it counts what is asked, and passes on
// what the server answers as the current fault leaves it.
type gate struct {
	traffic
	URL   string
	fault atomic.Pointer[func(next http.Handler) http.Handler] // nil: none
}

func openGate(t testing.TB, server string) *gate {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Transport: &http.Transport{
			DisableCompression: true, MaxIdleConnsPerHost: 64,
		},
	}
	g := &gate{}
	srv := httptest.NewUnstartedServer(g.count(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := g.fault.Load(); fault != nil {
			(*fault)(proxy).ServeHTTP(w, r)
			return
		}
		proxy.ServeHTTP(w, r)
	})))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	g.URL = srv.URL
	return g
}

// set makes every request from now on meet the fault; nil ends it.
func (g *gate) set(fault func(next http.Handler) http.Handler) {
	if fault == nil {
		g.fault.Store(nil)
		return
	}
	g.fault.Store(&fault)
}

// answers500 answers an error in the place of what the server says.
func answers500(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"status":"error","errorType":"internal","error":"secret insides"}`, http.StatusInternalServerError)
	})
}

// halfABody passes on the first half of what the server says.
func halfABody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rec := record(next, r)
		maps.Copy(w.Header(), rec.Header())
		w.WriteHeader(rec.Code)
		_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
}

// lateBy passes on what the server says after a while.
func lateBy(d time.Duration) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rec := record(next, r)
			select {
			case <-time.After(d):
			case <-r.Context().Done():
				return
			}
			maps.Copy(w.Header(), rec.Header())
			w.WriteHeader(rec.Code)
			_, _ = w.Write(rec.Body.Bytes())
		})
	}
}
