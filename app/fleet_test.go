package app_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
)

// fleetCluster is a real Prometheus with what its rules would record.
type fleetCluster struct {
	name    string
	share   atomic.Int64 // of 100 events a second that fail
	slos    atomic.Int64 // how many there are
	scraped *httptest.Server
	spec    servers.PrometheusSpec
	server  *servers.Prometheus
	front   *httptest.Server // before it, counting
	asked   atomic.Int64     // questions for series of SLOs
}

// ServeHTTP shows the windows of the SLOs, to be scraped.
func (c *fleetCluster) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	for i := range c.slos.Load() {
		for _, window := range []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d", "30d"} {
			set := fmt.Sprintf(`{slo="slo-%d",service="payments"}`, i)
			fmt.Fprintf(w, "slo:sli_total:rate%s%s 100\nslo:sli_errors:rate%s%s %d\n", window, set, window, set, c.share.Load())
		}
	}
}

func startFleetCluster(t *testing.T, name string) *fleetCluster {
	t.Helper()
	c := &fleetCluster{name: name}
	c.slos.Store(1)
	c.scraped = httptest.NewServer(c)
	t.Cleanup(c.scraped.Close)
	addr, err := servers.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	c.spec = servers.PrometheusSpec{
		Name: name, Dir: t.TempDir(), Listen: addr,
		Config: fmt.Sprintf(`global: {scrape_interval: 1s, external_labels: {cluster: %s}}
scrape_configs:
  - {job_name: rules, honor_labels: true, static_configs: [{targets: [%q]}]}
`, name, strings.TrimPrefix(c.scraped.URL, "http://")),
	}
	c.start(t)
	to, err := url.Parse(c.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	c.front = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if text, _ := url.QueryUnescape(string(body) + r.URL.RawQuery); strings.HasSuffix(r.URL.Path, "/read") || strings.Contains(text, "slo:sli_") {
			if r.URL.Path != "/api/v1/query_range" { // a backfill's
				c.asked.Add(1)
			}
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(c.front.Close)
	return c
}

func (c *fleetCluster) start(t *testing.T) {
	t.Helper()
	server, err := servers.StartPrometheus(t.Context(), c.spec)
	if err != nil {
		t.Fatal(err)
	}
	c.server = server
	t.Cleanup(func() { _ = server.Kill() })
	within(t, time.Minute, "a scrape of "+c.name, func() bool {
		resp, err := http.Get(server.URL + "/api/v1/query?query=slo:sli_total:rate1h") //nolint:noctx // it is of the test, and local.
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(text), "slo-0")
	})
}

func fleetSLO(i int) string {
	return strings.NewReplacer("name: availability", fmt.Sprintf("name: slo-%d", i), "  service: payments", "  scope: fleet\n  service: payments").Replace(sloFile)
}

// startFleet runs a Midwatch over two clusters with one SLO of both.
func startFleet(t *testing.T, clusters ...*fleetCluster) *world {
	t.Helper()
	provider := wecom.New(wecom.Config{CorpID: "ww-test", Secret: "provider-secret", AgentID: 1000002, Members: []string{"LiNa"}})
	server := httptest.NewServer(provider)
	t.Cleanup(server.Close)
	w := &world{dir: t.TempDir(), provider: provider}
	w.write(t, "slo/0.yaml", fleetSLO(0))
	w.write(t, "oncall.yaml", oncallFile)
	w.write(t, "secret", "provider-secret\n")
	w.write(t, "token", "the-token-of-the-test\n")
	config := fmt.Sprintf(configFile, clusters[0].front.URL, server.URL)
	config = strings.Replace(config, "evidence:", fmt.Sprintf("  - {name: beijing, urls: [%q]}\nrules: {interval: 5s, scrape_interval: 1s, compare: []}\nfleet: {missing_after: 2s}\nevidence:", clusters[1].front.URL), 1)
	w.write(t, "midwatch.yaml", config)
	w.run(t)
	return w
}

// within waits for something that takes evaluations to become true.
func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func (w *world) incidents(t *testing.T, service string) (out []alert.Incident) {
	t.Helper()
	all, err := w.client.List(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	for _, inc := range all {
		if inc.Service == service {
			story, err := w.client.Get(t.Context(), inc.ID)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, story.Incident)
		}
	}
	return out
}

// A budget of the fleet burns in two clusters, each a real Prometheus: somebody
// is paged once. One of them is killed meanwhile: the incident stays, and an
// alert says what is missing. Midwatch restarts: it stays. The cluster comes
// back and nothing fails: it is over.
func TestFleetBurnsOverTwoClusters(t *testing.T) {
	t.Parallel()
	one, two := startFleetCluster(t, "hangzhou"), startFleetCluster(t, "beijing")
	one.share.Store(2)
	two.share.Store(2)
	w := startFleet(t, one, two)
	within(t, 60*time.Second, "an incident", func() bool { return len(w.incidents(t, "payments")) > 0 })
	inc := w.incidents(t, "payments")[0]
	if got := inc.Alerts[0].Labels; got["scope"] != "fleet" || got["cluster"] != "" || got["slo"] != "slo-0" || inc.Alerts[0].Annotations["midwatch_note"] != "" {
		t.Errorf("the alert is %v %v", got, inc.Alerts[0].Annotations)
	}
	if _, text := w.get(t, "/api/v1/query?query="+url.QueryEscape(`slo:sli_total:rate1h{scope="fleet"}`)); !strings.Contains(text, `"200"`) {
		t.Errorf("the fleet's series are answered %s", text)
	}
	if _, text := w.get(t, "/api/v1/rules"); !strings.Contains(text, "midwatch-fleet-windows") {
		t.Errorf("the fleet's rules are not shown: %.300s", text)
	}

	two.share.Store(0)
	one.share.Store(0)
	if err := two.server.Kill(); err != nil {
		t.Fatal(err)
	}
	within(t, 60*time.Second, "what is missing", func() bool { return len(w.incidents(t, "midwatch")) > 0 })
	if a := w.incidents(t, "midwatch")[0].Alerts[0]; a.Label("alertname") != "SLOFleetDataMissing" || !strings.Contains(string(a.Annotations["summary"]), "beijing") {
		t.Errorf("what is missing is told by %v %v", a.Labels, a.Annotations)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.run(t)
	asked := one.asked.Load()
	within(t, 60*time.Second, "some evaluations after the restart", func() bool { return one.asked.Load() > asked+4 })
	all := w.incidents(t, "payments")
	if len(all) != 1 || all[0].Status == alert.Closed || all[0].Stale || all[0].Round != 1 {
		t.Errorf("while a cluster is away and after a restart there are %+v", all)
	}

	two.start(t)
	within(t, 4*time.Minute, "it is over, for the tiers that are evaluated every two minutes too", func() bool {
		all := w.incidents(t, "payments")
		return len(all) == 1 && all[0].Status == alert.Closed
	})
}

// A cycle costs a cluster the same number of questions for one SLO and for
// many.
func TestFleetAsksTheSameForManySLOs(t *testing.T) {
	t.Parallel()
	one, two := startFleetCluster(t, "hangzhou"), startFleetCluster(t, "beijing")
	w := startFleet(t, one, two)
	evaluated := func() (n int) { // how often the group of the fast windows was
		_, text := w.get(t, "/metrics")
		_, text, _ = strings.Cut(text, `midwatch_fleet_evaluations_total{group="midwatch-fleet-windows",result="whole"} `)
		_, _ = fmt.Sscan(text, &n)
		return n
	}
	cycle := func() int64 { // two evaluations of it
		from, asked := evaluated(), one.asked.Load()
		within(t, 60*time.Second, "two evaluations", func() bool { return evaluated() >= from+2 })
		return one.asked.Load() - asked
	}
	recorded := func(n int) func() bool {
		return func() bool {
			_, text := w.get(t, "/api/v1/query?query="+url.QueryEscape(`count(slo:sli_total:rate5m{scope="fleet"})`))
			return strings.Contains(text, fmt.Sprintf(`"%d"`, n))
		}
	}
	within(t, 60*time.Second, "it is recorded", recorded(1))
	few := cycle()
	for i := range 50 {
		w.write(t, fmt.Sprintf("slo/%d.yaml", i), fleetSLO(i))
	}
	one.slos.Store(50)
	two.slos.Store(50)
	w.reload(t)
	within(t, 60*time.Second, "all are recorded", recorded(50))
	if many := cycle(); few < 2 || many > few+3 { // the groups of 2 minutes may come in between
		t.Errorf("two evaluations cost a cluster %d questions for one SLO and %d for fifty", few, many)
	}
}

func TestFleetConfigurationIsChecked(t *testing.T) {
	t.Parallel()
	w := &world{dir: t.TempDir()}
	w.write(t, "slo/0.yaml", fleetSLO(0))
	w.write(t, "oncall.yaml", oncallFile)
	w.write(t, "token", "the-token-of-the-test\n")
	w.write(t, "secret", "provider-secret\n")
	for text, want := range map[string]string{
		"fleet: {retention: -1d}":                   "fleet",
		"fleet: {remote: []}":                       "fleet.remote: unknown",
		"fleet: {remote_write: [{name: a}]}":        "fleet.remote_write: url for remote_write is empty",
		"fleet: {remote_write: [{url: ftp://a}]}":   "fleet.remote_write: number 1: want an http or https URL",
		"fleet: {remote_write: {url: of-the-file}}": "fleet.remote_write: line 1: cannot unmarshal",
		"fleet: {remote_write: [{url: http://a, basic_auth: {username: b, password: of-the-remote, password_file: c}}]}": "fleet.remote_write: at most one of",
		"rules: {rulers: [{url: http://127.0.0.1:1, parts: [fleet]}]}\nfleet: {enabled: true}":                           "fleet.enabled: rules.rulers.0 evaluates these rules too",
		"fleet: {enabled: true, remote_write: [{url: http://a, queue_config: {capacity: of-the-capacity}}]}":             "fleet.remote_write: line 1: cannot unmarshal",
	} {
		w.write(t, "midwatch.yaml", fmt.Sprintf(configFile, "http://127.0.0.1:1", "http://127.0.0.1:1")+text+"\n")
		_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
		problems, _ := diag.Of(err)
		var printed strings.Builder
		if err := problems.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(printed.String(), want) || strings.Contains(printed.String(), "of-the-") {
			t.Errorf("%s: %v\n%s, want %q and no value", text, err, printed.String(), want)
		}
	}
}
