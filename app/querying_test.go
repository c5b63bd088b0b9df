package app_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/app"
)

// A token that is bound asks, and misses, only clusters of which it may see
// something; and it is bound from the reload on.
func TestQueryTokensBindWhatIsSeen(t *testing.T) {
	w := start(t)
	configure := func(tokens string) {
		text := strings.Replace(fmt.Sprintf(configFile, "http://127.0.0.1:1", "http://127.0.0.1:1"), "api:\n", "api:\n  query_tokens:\n"+tokens, 1)
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
		"token-of-here": `cluster \"hangzhou\" (connection refused)`, "token-of-there": `"data":[]`,
		"the-token-of-the-test": `cluster \"hangzhou\" (connection refused)`, "another": "not one of those configured",
	} {
		if got := see(token); !strings.Contains(got, want) {
			t.Errorf("%s: got %s, want %s", token, got, want)
		}
	}
	refused := func(what, want string) {
		if _, err := app.LoadConfig(filepath.Join(w.dir, "midwatch.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: midwatch validate gets %v, want an error with %q", what, err, want)
		}
		_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", what, err, want)
		}
	}
	for _, empty := range []string{"", "    []\n"} {
		configure(empty)
		refused("tokens: "+empty, "api.query_tokens: the list is empty (give a token, or leave it out and everybody may query everything)")
		w.write(t, "midwatch.yaml", strings.Replace(fmt.Sprintf(configFile, "http://127.0.0.1:1", "http://127.0.0.1:1"), "api:\n", "api:\n  ingest_tokens:\n"+empty, 1))
		refused("tokens: "+empty, "api.ingest_tokens: the list is empty (give a token, or leave it out and everybody may send alerts)")
	}
	for _, matchers := range []string{"[]", "", "['']", "['cluster']", `['a="b"} or {c="d"']`} {
		configure("    - {name: here, token: token-of-here, matchers: " + matchers + "}\n")
		refused("matchers: "+matchers, "query_tokens.0.matchers")
	}
}

// Each file of TLS that cannot be read is told at once, at the cluster that it
// is of.
func TestFilesOfTLSThatCannotBeReadAreNamed(t *testing.T) {
	w := start(t)
	text := fmt.Sprintf(configFile, "https://127.0.0.1:1", "http://127.0.0.1:1")
	w.write(t, "midwatch.yaml", strings.Replace(text, "evidence:", `  - {name: second, urls: ["https://127.0.0.1:1"], tls_config: {ca_file: nothere.pem}}
  - {name: third, urls: ["https://127.0.0.1:1"], tls_config: {ca_file: midwatch.yaml}}
evidence:`, 1))
	_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	for _, want := range []string{": clusters.1.tls_config: cluster \"second\": ", "nothere.pem: no such file", ": clusters.2.tls_config: cluster \"third\": "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
