package app_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/client"
)

// childConfig tells the test binary to be a Midwatch that is going to be
// killed, and of which file.
const childConfig = "MIDWATCH_APP_CHILD"

func TestMain(m *testing.M) {
	file := os.Getenv(childConfig)
	if file == "" {
		os.Exit(m.Run())
	}
	a, err := app.New(context.Background(), app.Options{ConfigFile: file, ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err == nil {
		fmt.Println("http://" + a.Addr())
		err = a.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// fleetReplica writes the files of one of several Midwatches on one database,
// and returns their folder.
func fleetReplica(t *testing.T, database, hook string, clusters ...*fleetCluster) *world {
	t.Helper()
	w := &world{dir: t.TempDir()}
	oncall, err := os.ReadFile(filepath.Join("..", "testdata", "bench", "oncall.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "slo/0.yaml", fleetSLO(0))
	w.write(t, "oncall.yaml", string(oncall))
	w.write(t, "midwatch.yaml", fmt.Sprintf(`external_url: http://127.0.0.1:1
slo_files: [slo/*.yaml]
oncall_files: [oncall.yaml]
clusters:
  - {name: %s, urls: [%q]}
  - {name: %s, urls: [%q]}
rules: {interval: 5s, scrape_interval: 1s, compare: []}
store: {url: %q}
evidence: {wait: 0s}
notifiers: {webhook: {url: %q}}
api: {tokens: [{name: li.na, token: the-token-of-the-test}]}
`, clusters[0].name, clusters[0].front.URL, clusters[1].name, clusters[1].front.URL, database, hook))
	return w
}

// spawn runs a Midwatch as a process of its own, which is returned.
func (w *world) spawn(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childConfig+"="+filepath.Join(w.dir, "midwatch.yaml"))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the process does not say where it listens")
	}
	w.url = lines.Text()
	if w.client, err = client.New(client.Config{URL: w.url, Token: secret.New("the-token-of-the-test")}); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// shows waits until a page has a text.
func (w *world) shows(t *testing.T, path, text string) {
	t.Helper()
	within(t, 90*time.Second, path+" shows "+text, func() bool {
		_, got := w.get(t, path)
		return strings.Contains(got, text)
	})
}

// Two Midwatches share a database, and the one that pages for the fleet is
// killed. The other takes over: what fires goes on, in the same incident, and
// nobody is paged a second time.
func TestFleetGoesOnWhenTheReplicaThatPagesIsKilled(t *testing.T) {
	t.Parallel()
	pg, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pg.Stop() })
	pages := &calls{}
	hook := httptest.NewServer(pages)
	t.Cleanup(hook.Close)
	one, two := startFleetCluster(t, "hangzhou"), startFleetCluster(t, "beijing")
	elder, younger := fleetReplica(t, pg.URL(), hook.URL, one, two), fleetReplica(t, pg.URL(), hook.URL, one, two)
	process := elder.spawn(t)
	elder.shows(t, "/metrics", "midwatch_fleet_leads 1")
	younger.run(t)
	younger.shows(t, "/metrics", "midwatch_fleet_leads 0")
	one.share.Store(2)
	two.share.Store(2)
	within(t, 90*time.Second, "the page", func() bool { return len(pages.woke("payments")) > 0 })
	younger.shows(t, "/api/v1/query?query="+url.QueryEscape(`count(ALERTS{alertstate="firing",scope="fleet",slo="slo-0"}) > 0`), `"value"`)
	before := younger.incidents(t, "payments")
	if len(before) != 1 || before[0].Alerts[0].Label("scope") != "fleet" {
		t.Fatalf("there are %+v", before)
	}

	killed := time.Now()
	if err := process.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = process.Wait() // it was killed
	younger.shows(t, "/metrics", "midwatch_fleet_leads 1")
	within(t, 90*time.Second, "the other says what fires", func() bool {
		now := younger.incidents(t, "payments")
		return len(now) == 1 && now[0].Alerts[0].UpdatedAt.After(before[0].Alerts[0].UpdatedAt)
	})
	now := younger.incidents(t, "payments")[0]
	if now.ID != before[0].ID || now.Round != 1 || now.Status == alert.Closed || now.Stale {
		t.Errorf("before it was %+v, now it is %+v", before[0], now)
	}
	// Each evaluates for itself, so their alerts began within seconds of each other.
	if was, is := before[0].Alerts[0], now.Alerts[0]; is.State != alert.Firing || is.StartsAt.After(killed) {
		t.Errorf("killed at %s: the alert was %+v, now it is %+v", killed, was, is)
	}
	// A second level of burn may have fired meanwhile, with or without the kill.
	woke := slices.DeleteFunc(pages.woke("payments"), func(k page.Kind) bool { return k == page.Raised })
	if !slices.Equal(woke, []page.Kind{page.Opened}) {
		t.Errorf("paged as %v, want once", woke)
	}
}
