package app_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"
)

// oddPaths are what somebody would try who looks for a way in.
func oddPaths() []string {
	return []string{
		"/incidents/99999999999999999999", "/incidents/1%00", "/incidents/%ff", "/incidents/../metrics", "//a//b", "/%00", "/debug/pprof/", "/-/quit",
		"/silences?incident=%00", "/ical/schedule/%2e%2e%2foncall.ics", "/ical/user/%ff.ics", "/audit?before=-1", "/assets/..%2fweb.go",
		"/a/1/x.y.z", "/a/1/" + strings.Repeat("A", 5000), "/callbacks/%00", "/callbacks/wecom",
		"/api/v1/incidents?all=%ff", "/api/v1/incidents/0x1/ack", "/api/v1/incidents/1/nothing", "/api/v1/silences/%00", "/api/v1/overrides/-1",
		"/api/v1/oncall?from=9999-12-31T23:59:59Z", "/api/v1/audit?limit=100000", "/api/v1/ingest/sentry", "/api/v1/ingest/grafana", "/api/v1/drills",
		"/api/v1/overrides", "/api/v1/admin/tsdb/snapshot", "/api/v1/query?query=%ff", "/api/v2/alerts?filter=%00", "/api/v2/alerts?receiver=(",
		"/api/v2/silences?filter=%ff", "/api/v2/silence/%ff", "/api/v2/silences",
	}
}

func oddBodies() []string {
	return []string{
		"", "null", "[null]", `{"alerts":[null]}`, "\xff\xfe", strings.Repeat("[", 100_000), `{"matchers":[null]}`,
		`{"matchers":[{"name":"a","value":"b","isRegex":false}],"startsAt":"0000-01-01T00:00:00Z","endsAt":"9999-01-01T00:00:00Z","createdBy":"\u0000","comment":"b"}`,
		`{"schedule":"payments","user":"li.na","until":"9999-12-31T23:59:59Z"}`, `{"by":"\u202e","for":"1000000000y","into":1e400,"users":["\u0000"]}`,
		`{"action":"triggered","data":{"event":{"issue_id":{},"tags":{}}}}`, `{"action":"resolved","data":{"issue":{"id":1e400,"project":{"slug":"\u0000"}}}}`,
	}
}

// Whatever is asked, and however, nothing breaks, and nothing of the insides
// is told.
func TestOddRequestsBreakNothing(t *testing.T) {
	w := start(t)
	ask := func(method, path, body, token string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		status, text := do(t, req)
		if status >= http.StatusInternalServerError || strings.Contains(text, ".go:") || strings.Contains(text, w.dir) {
			t.Errorf("%s %.80s with %.80q is answered %d %.300s", method, path, body, status, text)
		}
	}
	for _, path := range oddPaths() {
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "FOO"} {
			ask(method, path, "", "the-token-of-the-test")
		}
		for _, body := range oddBodies() {
			ask(http.MethodPost, path, body, "the-token-of-the-test")
		}
	}
}

// A few kilobytes that unpack to more than a body may have are refused,
// whoever reads them.
func TestBodiesThatUnpackWithoutEndAreRefused(t *testing.T) {
	w := start(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range 24 { // MiB: more than any body may have
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v2/alerts", "/api/v1/ingest/alertmanager", "/api/v1/ingest/grafana", "/api/v1/ingest/sentry", "/api/v2/silences", "/api/v1/drills"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, bytes.NewReader(packed.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Content-Encoding", "gzip")
		req.Header.Set("Authorization", "Bearer the-token-of-the-test")
		if status, text := do(t, req); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s is answered %d %.100s, want 413", path, status, text)
		}
	}
}
