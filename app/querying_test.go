package app_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/app"
)

// A token that is bound to a cluster sees that one alone, and keeps being
// bound after a reload.
func TestQueryTokensBindWhatIsSeen(t *testing.T) {
	w := start(t)
	cluster := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"status":"success","data":{"version":"3.15.0"}}`
		if strings.HasSuffix(r.URL.Path, "/labels") {
			answer = `{"status":"success","data":["__name__","job"]}`
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(cluster.Close)
	configure := func(tokens string) {
		text := strings.Replace(fmt.Sprintf(configFile, cluster.URL, "http://127.0.0.1:1"), "api:\n", "api:\n  query_tokens:\n"+tokens, 1)
		w.write(t, "midwatch.yaml", text)
	}
	see := func(token string) string {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+"/api/v1/label/cluster/values", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		_, text := do(t, req)
		return text
	}
	configure("    - {name: here, token: token-of-here, matchers: ['cluster=\"hangzhou\"']}\n    - {name: there, token: token-of-there, matchers: ['cluster!=\"hangzhou\"']}\n")
	w.reload(t)
	for token, want := range map[string]string{
		"token-of-here": `"data":["hangzhou"]`, "token-of-there": `"data":[]`, "the-token-of-the-test": `"data":["hangzhou"]`, "another": "not one of those configured",
	} {
		if got := see(token); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", token, got, want)
		}
	}
	for _, matchers := range []string{"[]", "", "['']", "['cluster']", `['a="b"} or {c="d"']`} {
		configure("    - {name: here, token: token-of-here, matchers: " + matchers + "}\n")
		_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
		if err == nil || !strings.Contains(err.Error(), "query_tokens.0.matchers") {
			t.Errorf("matchers: %s: got %v, want an error", matchers, err)
		}
	}
}
