package provider

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A redirect that leads nowhere repeats the URL that was asked for, with the
// secret in it, as servers and proxies do that move to another host.
func TestNoErrorRepeatsARedirect(t *testing.T) {
	for _, location := range []string{"http://[::1/robot/send?key=%s", "://%s", "/other?key=%s", "http://127.0.0.1:1/?key=%s"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Location"] = []string{strings.Replace(location, "%s", r.URL.Query().Get("key"), 1)}
			w.WriteHeader(http.StatusFound)
		}))
		_, err := NewClient(Transport(), time.Now).Do(t.Context(), http.MethodPost, server.URL+"/robot/send?key=of-the-robot", []byte("{}"))
		if err == nil || strings.Contains(err.Error(), "of-the-robot") {
			t.Errorf("to %s: the error is %v", location, err)
		}
		server.Close()
	}
}
