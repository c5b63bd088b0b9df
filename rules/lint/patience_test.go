package lint_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/rules/lint"
)

// A server that answers nothing is not waited for once for each question, and
// what is wrong is said once.
func TestASilentServerIsAskedTwice(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not see that the client is gone
		<-r.Context().Done()
	}))
	defer server.Close()
	client := &http.Client{}
	defer client.CloseIdleConnections()
	prometheus, err := lint.NewPrometheus(server.URL, client)
	if err != nil {
		t.Fatal(err)
	}
	slos := load(t, filepath.Join(folder, "series-missing", "good.yaml"))
	_, err = lint.Run(t.Context(), slos, lint.Options{Now: time.Now(), Server: prometheus, Timeout: 20 * time.Millisecond})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "it answers nothing: ") {
		t.Errorf("got %v, want one line that it answers nothing", err)
	}
	if n := asked.Load(); n > 4 { // a query is tried by POST, and the client may repeat it
		t.Errorf("asked %d times, want no more after the second", n)
	}
}
