package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/web/wire"
)

const shortGap = `{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s,
users: [{name: a, full_name: Ana, contacts: [{channel: email, address: a@example.com}]}],
schedules: [{name: s, timezone: America/New_York, layers: [{name: l,
  rotation: {handoff: "0 12 * * *", start: "2026-03-01", participants: [a]},
  restrictions: [{from: "09:10", until: "09:00"}]}]}]}`

// A gap of ten minutes is seen in half-hour slots, in red, also in the week
// in which the clock is set forward.
func TestCalendarShowsShortGapsInRed(t *testing.T) {
	roster, err := oncall.Parse("s.yaml", []byte(shortGap))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	newMonth(roster, "s", time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC), 1, true).draw(&b)
	lines := strings.Split(b.String(), "\n")
	if len(lines) < 9 || !strings.HasPrefix(lines[8], ">Sun 08 Mar ") {
		t.Fatalf("Sunday is not in its place:\n%s", &b)
	}
	for _, line := range lines[2:9] {
		if !strings.Contains(line, "\x1b[1;37;41m×\x1b[0m\x1b[36m│Ana─") {
			t.Errorf("no gap in %q", line)
		}
	}
	if !strings.Contains(b.String(), "\x1b[31mnobody from Sun 2026-03-08 09:00 EDT to Sun 2026-03-08 09:10 EDT\x1b[0m") {
		t.Errorf("the gap is not told in words:\n%s", &b)
	}
}

func TestTextWidthOfNames(t *testing.T) {
	for text, want := range map[string]int{"Li Na": 5, "李伟": 4, "한국": 4, "José": 4, "Jose\u0301": 4, "カタカナ": 8} {
		if got := textWidth(text); got != want {
			t.Errorf("%s: %d columns, want %d", text, got, want)
		}
	}
	if got := fitWidth("李伟", 3); got != "李" {
		t.Errorf("cut to three columns: %q", got)
	}
}

// overrides is a server that keeps overrides, behind the token "secret".
type overrides struct{ kept []wire.Override }

func (s *overrides) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, body string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
	switch {
	case r.Method == http.MethodGet:
		b, _ := json.Marshal(s.kept)
		answer(http.StatusOK, `{"status":"success","data":`+string(b)+`}`)
	case r.Header.Get("Authorization") != "Bearer secret":
		answer(http.StatusUnauthorized, `{"status":"error","errorType":"unauthorized","error":"a token is needed"}`)
	case r.Method == http.MethodDelete && r.URL.Path == "/api/v1/overrides/1" && len(s.kept) > 0:
		s.kept = nil
		answer(http.StatusOK, `{"status":"success","data":{}}`)
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/overrides":
		o := wire.Override{}
		_ = json.NewDecoder(r.Body).Decode(&o)
		o.ID = 1
		s.kept = append(s.kept, o)
		b, _ := json.Marshal(o)
		answer(http.StatusOK, `{"status":"success","data":`+string(b)+`}`)
	default:
		answer(http.StatusNotFound, `{"status":"error","errorType":"not_found","error":"there is none"}`)
	}
}

func TestOverridesByCommand(t *testing.T) {
	t.Setenv("TZ", "UTC")
	server := &overrides{}
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const add = "oncall override add --schedule payments --user li.na --by ana "
	for _, tt := range []struct {
		args     string
		code     int
		out, err string
	}{
		{"oncall override list", exitOK, "no overrides\n", ""},
		{add + "--from 2026-12-24T09:00:00+08:00 --for 1d --reason dentist", exitOK, "override 1: li.na is on call in payments from ", ""},
		{"oncall override list", exitOK, "1  payments  li.na  ", ""},
		{"oncall override list -o json", exitOK, `"until": "2026-12-25T09:00:00+08:00"`, ""},
		{"oncall override end 1", exitOK, "override 1 is over\n", ""},
		{"oncall override end 1", exitProblem, "", "there is none"},
		{"oncall override end x", exitUsage, "", `"x" is no override number`},
		{"oncall override add --user li.na --for 1h", exitUsage, "", "--schedule and --user are needed"},
		{add + "--for 1h --until 2026-12-24T09:00:00Z", exitUsage, "", "either --until or --for"},
		{add + "--for soon", exitUsage, "", `--for "soon" is no duration`},
		{add + "--until tomorrow", exitUsage, "", `--until "tomorrow" is no RFC 3339 time`},
		{add + "--from 2026-12-24T09:00:00Z --until 2026-12-24T08:00:00Z", exitUsage, "", "before it begins"},
	} {
		var out, errs bytes.Buffer
		args := append(strings.Fields(tt.args), "--url", listener.URL, "--token-file", token)
		if code := run(t.Context(), args, &out, &errs); code != tt.code || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.err) {
			t.Errorf("%s: exit code %d\n%s%s", tt.args, code, &out, &errs)
		}
	}
}
