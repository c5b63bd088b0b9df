package ruler

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// standIn is a ruler with Mimir's API, which misbehaves as it is told.
type standIn struct {
	mu      sync.Mutex
	prefix  string
	kept    map[string]map[string]string // group as YAML, by tenant/namespace and name
	asked   []string                     // method, escaped path and tenant
	faults  []func(w http.ResponseWriter)
	refused string // the name of a group that is not taken
}

func (s *standIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	tenant := r.Header.Get("X-Scope-OrgID")
	s.asked = append(s.asked, r.Method+" "+r.URL.EscapedPath()+" "+tenant)
	if len(s.faults) > 0 {
		fault := s.faults[0]
		s.faults = s.faults[1:]
		fault(w)
		return
	}
	rest, ok := strings.CutPrefix(r.URL.EscapedPath(), s.prefix+"/")
	if !ok {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	namespace, group, _ := strings.Cut(rest, "/")
	group, _ = url.PathUnescape(group)
	s.serve(w, r, tenant+"/"+namespace, namespace, group)
}

func (s *standIn) serve(w http.ResponseWriter, r *http.Request, key, namespace, group string) {
	switch r.Method {
	case http.MethodGet:
		if len(s.kept[key]) == 0 {
			http.Error(w, "no rule groups found", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, "%s:\n", namespace)
		for _, text := range s.kept[key] {
			fmt.Fprintf(w, "    - source_tenants: []\n      %s\n", strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n      "))
		}
	case http.MethodPost:
		b, _ := io.ReadAll(r.Body)
		var g rulefmt.RuleGroup
		if err := yaml.Unmarshal(b, &g); err != nil || g.Name == s.refused {
			http.Error(w, "per-user rules per rule group limit (limit: 20 actual: 33) exceeded", http.StatusBadRequest)
			return
		}
		if s.kept[key] == nil {
			s.kept[key] = map[string]string{}
		}
		s.kept[key][g.Name] = string(b)
		w.WriteHeader(http.StatusAccepted)
	case http.MethodDelete:
		if _, ok := s.kept[key][group]; !ok {
			http.Error(w, "group does not exist", http.StatusNotFound)
			return
		}
		delete(s.kept[key], group)
		w.WriteHeader(http.StatusAccepted)
	}
}

func newStandIn(t *testing.T, change func(*Config)) (*standIn, *Client) {
	t.Helper()
	s := &standIn{prefix: "/mimir/prometheus/config/v1/rules", kept: map[string]map[string]string{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c := Config{URL: server.URL + "/mimir", Tenant: "team-a", Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }}
	if change != nil {
		change(&c)
	}
	client, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return s, client
}

func group(name, expr string) rulefmt.RuleGroup {
	return rulefmt.RuleGroup{Name: name, Interval: model.Duration(30 * time.Second), Rules: []rulefmt.Rule{
		{Record: "a:b", Expr: expr, Labels: map[string]string{"slo": "a"}},
		{Alert: "C", Expr: "x > 1", For: model.Duration(time.Minute), Annotations: map[string]string{"summary": "{{ $labels.slo }}: 坏了"}},
	}}
}

func TestSyncSetsWhatDiffersAndDeletesWhatIsGone(t *testing.T) {
	s, c := newStandIn(t, nil)
	s.kept["team-a/other"] = map[string]string{"midwatch-events/shop/a": "theirs"}
	s.kept["team-b/midwatch"] = map[string]string{"midwatch-x": "theirs"}
	steps := []struct {
		want []rulefmt.RuleGroup
		did  Changes
	}{
		{nil, Changes{}},
		{[]rulefmt.RuleGroup{group("midwatch-events/shop/a", "sum(x)"), group("midwatch-windows", "y")}, Changes{Set: []string{"midwatch-events/shop/a", "midwatch-windows"}}},
		{[]rulefmt.RuleGroup{group("midwatch-events/shop/a", "  sum( x )"), group("midwatch-windows", "z")}, Changes{Set: []string{"midwatch-windows"}, Same: 1}},
		{[]rulefmt.RuleGroup{group("midwatch-windows", "z")}, Changes{Deleted: []string{"midwatch-events/shop/a"}, Same: 1}},
		{nil, Changes{Deleted: []string{"midwatch-windows"}}},
	}
	for i, step := range steps {
		did, err := c.Sync(t.Context(), "midwatch", step.want)
		if diff := cmp.Diff(step.did, did, cmpopts.EquateEmpty()); err != nil || diff != "" {
			t.Errorf("step %d: %v %s", i, err, diff)
		}
		got, err := c.List(t.Context(), "midwatch")
		if err != nil || len(got) != len(step.want) {
			t.Errorf("step %d: %d groups, %v", i, len(got), err)
		}
	}
	if s.kept["team-a/other"]["midwatch-events/shop/a"] != "theirs" || s.kept["team-b/midwatch"]["midwatch-x"] != "theirs" {
		t.Error("another's rules changed")
	}
	if want := "DELETE /mimir/prometheus/config/v1/rules/midwatch/midwatch-events%2Fshop%2Fa team-a"; !strings.Contains(strings.Join(s.asked, "\n"), want) {
		t.Errorf("no request is %q:\n%s", want, strings.Join(s.asked, "\n"))
	}
}

func TestAHalfDoneSyncIsUndone(t *testing.T) {
	s, c := newStandIn(t, nil)
	if _, err := c.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{group("a", "1"), group("b", "2")}); err != nil {
		t.Fatal(err)
	}
	before, _ := c.List(t.Context(), "midwatch")
	s.refused = "d"
	_, err := c.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{group("a", "3"), group("c", "4"), group("d", "5")})
	if err == nil || !strings.Contains(err.Error(), `set group "d" in namespace "midwatch": it answers 400 Bad Request: per-user rules per rule group limit`) {
		t.Errorf("the error is %v", err)
	}
	after, err := c.List(t.Context(), "midwatch")
	order := cmpopts.SortSlices(func(a, b rulefmt.RuleGroup) bool { return a.Name < b.Name })
	if diff := cmp.Diff(before, after, order); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	s.refused = "a" // nor can what was there be set again
	if _, err := c.Sync(t.Context(), "midwatch", []rulefmt.RuleGroup{group("0", "1"), group("a", "6")}); err == nil || strings.Contains(err.Error(), "not undone") {
		t.Errorf("the error is %v", err)
	}
}

func fault(status int, header, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWhatPassesIsTriedAgain(t *testing.T) {
	var waited []time.Duration
	s, c := newStandIn(t, func(c *Config) {
		c.Wait = func(_ context.Context, d time.Duration) error { waited = append(waited, d); return nil }
	})
	s.faults = []func(http.ResponseWriter){fault(429, "7", "slow down"), fault(500, "", "oh"), fault(503, "99999", "")}
	if err := c.Set(t.Context(), "midwatch", group("a", "1")); err != nil || len(s.asked) != 4 {
		t.Errorf("after %d requests: %v", len(s.asked), err)
	}
	if want := []time.Duration{7 * time.Second, 14 * time.Second, 28 * time.Second}; !cmp.Equal(want, waited) {
		t.Errorf("waited %v, want %v", waited, want)
	}
	s.asked = nil
	s.faults = []func(http.ResponseWriter){fault(500, "", ""), fault(500, "", ""), fault(500, "", ""), fault(500, "", "the store\nis away")}
	if err := c.Set(t.Context(), "midwatch", group("a", "1")); err == nil || len(s.asked) != 4 ||
		!strings.HasSuffix(err.Error(), `it answers 500 Internal Server Error: the store is away`) {
		t.Errorf("after %d requests: %v", len(s.asked), err)
	}
	for _, status := range []int{400, 401, 403, 404, 413, 302, 501} {
		s.asked, s.faults = nil, []func(http.ResponseWriter){fault(status, "", "no")}
		if err := c.Set(t.Context(), "midwatch", group("a", "1")); err == nil || len(s.asked) != 1 {
			t.Errorf("%d: after %d requests: %v", status, len(s.asked), err)
		}
	}
}

func TestAnswersAreNotTrusted(t *testing.T) {
	s, c := newStandIn(t, nil)
	for what, f := range map[string]func(http.ResponseWriter){
		"a page of HTML":  fault(200, "", "<html><body>Sign in</body></html>"),
		"JSON of another": fault(200, "", `{"status":"error","data":{"groups":[1]}}`),
		"half of a list":  fault(200, "", "midwatch:\n    - name: 'a\n"),
		"a bomb": fault(200, "", "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n"+
			"d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nmidwatch: [*e,*e,*e,*e,*e,*e,*e,*e]\n"),
	} {
		s.faults = []func(http.ResponseWriter){f}
		if got, err := c.List(t.Context(), "midwatch"); err == nil {
			t.Errorf("%s is taken for %v", what, got)
		}
	}
}

func TestARequestHasADeadline(t *testing.T) {
	stuck := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-stuck }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stuck) })
	c, err := New(Config{URL: server.URL, Timeout: time.Second, Wait: func(context.Context, time.Duration) error { return context.Canceled }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.List(t.Context(), "midwatch"); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("the error is %v", err)
	}
}

// The files are read again for each request, and TLS is checked.
func TestCredentialsAndTLS(t *testing.T) {
	var seen []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	noWait := func(context.Context, time.Duration) error { return context.Canceled }
	password, token := file("password", "one\n"), file("token", "two\n")
	for _, c := range []Config{
		{Username: "midwatch", PasswordFile: password},
		{BearerTokenFile: token},
		{BearerToken: secret.New("three")},
	} {
		c.URL, c.TLS, c.Wait = server.URL, TLS{CAFile: ca}, noWait
		client, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.List(t.Context(), "midwatch"); err != nil {
			t.Error(err)
		}
		client.Close()
	}
	if want := []string{"Basic bWlkd2F0Y2g6b25l", "Bearer two", "Bearer three"}; !cmp.Equal(want, seen) {
		t.Errorf("seen: %q, want %q", seen, want)
	}
	untrusting, err := New(Config{URL: server.URL, Wait: noWait})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := untrusting.List(t.Context(), "midwatch"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	const ok = "http://mimir:8080"
	for want, c := range map[string]Config{
		"api: ":                           {URL: ok, API: "thanos"},
		"url: want an http":               {URL: "mimir:8080"},
		"url: holds credentials":          {URL: "http://a:b@mimir"},
		"timeout: ":                       {URL: ok, Timeout: time.Hour},
		"tenant: ":                        {URL: ok, Tenant: "a\nb"},
		"both a username and a bearer":    {URL: ok, Username: "a", PasswordFile: "p", BearerTokenFile: "t"},
		"username needs one of password":  {URL: ok, Username: "a"},
		"bearer_token and bearer_token_f": {URL: ok, BearerToken: secret.New("x"), BearerTokenFile: "y"},
		"none.pem":                        {URL: "https://mimir", TLS: TLS{CAFile: "none.pem"}},
		"how it is reached":               {URL: "https://mimir", TLS: TLS{CertFile: "none.pem", KeyFile: "none.pem"}},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte("midwatch:\n    - name: a\n      interval: 30s\n      source_tenants: [x]\n      rules:\n        - record: a:b\n          expr: sum(x)\n"))
	f.Add([]byte("{}"))
	f.Add([]byte("- a"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseList(b) })
}
