package web

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

// amtool runs the real amtool against a handler.
type amtool struct{ path, url, http string }

func newAmtool(t *testing.T) (amtool, *memory) {
	t.Helper()
	path, err := servers.Binary("amtool")
	if err != nil {
		t.Fatal(err)
	}
	m := &memory{now: time.Now}
	h := newHouse(t, func(c *Config) {
		c.Receiver, c.Alerts, c.Silences, c.Now = m, m, m, time.Now
		c.Receivers = func() []string { return []string{"default", "payments"} }
	})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	config := filepath.Join(t.TempDir(), "http.yaml")
	if err := os.WriteFile(config, []byte("authorization:\n  credentials: "+sharedToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return amtool{path: path, url: srv.URL, http: config}, m
}

// run runs amtool and returns what it prints, and what it complains of.
func (a amtool) run(t *testing.T, args ...string) (out, complaint string, err error) {
	t.Helper()
	args = append([]string{"--alertmanager.url=" + a.url}, args...)
	if a.http != "" {
		args = append(args, "--http.config.file="+a.http)
	}
	cmd := exec.CommandContext(t.Context(), a.path, args...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	err = cmd.Run()
	return said.String(), wrong.String(), err
}

// must runs amtool, which has nothing to complain of, such as the version of
// what it speaks to, and returns what it prints without white space around.
func (a amtool) must(t *testing.T, args ...string) string {
	t.Helper()
	out, complaint, err := a.run(t, args...)
	if err != nil || complaint != "" {
		t.Fatalf("amtool %s: %v: %s%s", strings.Join(args, " "), err, complaint, out)
	}
	return strings.TrimSpace(out)
}

func TestAmtool(t *testing.T) {
	a, m := newAmtool(t)
	a.must(t, "alert", "add", "SearchDown", "service=search", "pod=search-1", "--annotation=summary=a pod is down")
	a.must(t, "alert", "add", "PaymentsDown", "service=payments", "pod=payments-1")
	wantIn(t, a.must(t, "alert", "query", "-o", "extended"), `service="search"`, `service="payments"`, "a pod is down", "active")
	wantNotIn(t, a.must(t, "alert", "query", "service=~pay.*"), "SearchDown")
	wantNotIn(t, a.must(t, "alert", "query", "--receiver=other"), "Down")

	id := a.must(t, "silence", "add", "--author=lin", "--comment=it is known", "--duration=2h", "service=search", `pod=~"search-.*"`)
	wantIn(t, a.must(t, "silence", "query"), id, `pod=~"search-.*"`, "lin", "it is known")
	wantNotIn(t, a.must(t, "silence", "query", "service=payments"), id)
	wantIn(t, a.must(t, "silence", "query", "service=search"), id)
	wantNotIn(t, a.must(t, "alert", "query"), "SearchDown") // only the active ones
	wantIn(t, a.must(t, "alert", "query", "--silenced"), "SearchDown")

	wantIn(t, a.must(t, "silence", "update", "--duration=30m", "--comment=nearly mended", id), id)
	wantIn(t, a.must(t, "silence", "query", "-o", "extended", "--id="+id), "nearly mended")
	if s, err := m.Silence(t.Context(), id); err != nil || s.EndsAt.Sub(s.StartsAt) > 31*time.Minute {
		t.Errorf("it lasts from %s to %s: %v", s.StartsAt, s.EndsAt, err)
	}

	a.must(t, "silence", "expire", id)
	wantNotIn(t, a.must(t, "silence", "query"), id)
	wantIn(t, a.must(t, "silence", "query", "--expired", "--within=1h"), id)
	wantIn(t, a.must(t, "alert", "query"), "SearchDown")
	if got, want := m.deeds(), "save by lin, save by lin, expire by somebody with a token"; got != want {
		t.Errorf("acted: %s, want %s", got, want)
	}
}

func TestAmtoolReadsTheStatus(t *testing.T) {
	a, _ := newAmtool(t)
	wantIn(t, a.must(t, "config", "show"), `receiver: "default"`)
	wantIn(t, a.must(t, "config", "routes"), "default")
	wantIn(t, a.must(t, "cluster", "show"), "disabled")
}

func TestAmtoolWithoutAToken(t *testing.T) {
	a, m := newAmtool(t)
	a.http = ""
	a.must(t, "alert", "add", "PodDown") // sending alerts is open
	out, complaint, err := a.run(t, "silence", "add", "--author=lin", "--comment=c", "alertname=PodDown")
	if err == nil || m.deeds() != "" {
		t.Errorf("a silence is made: %s", out)
	}
	wantIn(t, complaint, "401")
}
