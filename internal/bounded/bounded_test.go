package bounded_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/bounded"
)

func TestNoMoreIsReadThanTheLimit(t *testing.T) {
	const most = 1 << 20
	for extra, want := range map[int]error{-1: nil, 0: nil, 1: bounded.ErrTooLarge} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", most+extra))
		}))
		t.Cleanup(server.Close)
		client := server.Client()
		client.Transport = bounded.Transport{RoundTripper: client.Transport, Most: most}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if !errors.Is(err, want) || want == nil && len(b) != most+extra {
			t.Errorf("limit%+d: %d bytes are read: %v", extra, len(b), err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
	}
}
