package app_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/web/client"
)

const sloFile = `apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata:
  name: availability
spec:
  service: payments
  description: Payments succeed.
  critical: true
  objective: 99.95
  window: 30d
  sli:
    events:
      errors: http_requests_total{app="payments",status=~"5.."}
      total: http_requests_total{app="payments"}
`

const oncallFile = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - name: li.na
    full_name: Li Na
    contacts: [{channel: wecom, address: LiNa}]
schedules:
  - name: payments
    timezone: Asia/Shanghai
    rotation: {handoff: "0 10 * * mon", start: "2026-11-16T10:00", participants: [li.na]}
default_schedule: payments
`

const configFile = `external_url: http://midwatch.test
slo_files: [slo/*.yaml]
oncall_files: [oncall.yaml]
clusters:
  - {name: hangzhou, urls: ["%s"]}
evidence: {wait: 0s}
notifiers:
  wecom: {api_url: "%s", corp_id: ww-test, agent_id: 1000002, secret_file: secret}
api:
  tokens: [{name: test, token_file: token}]
`

// world is a Midwatch with its provider, and a cluster that is away.
type world struct {
	dir, url string
	provider *wecom.Server
	client   *client.Client
	stop     func() error
}

func start(t *testing.T) *world {
	t.Helper()
	provider := wecom.New(wecom.Config{CorpID: "ww-test", Secret: "provider-secret", AgentID: 1000002, Members: []string{"LiNa", "WangWei"}})
	server := httptest.NewServer(provider)
	t.Cleanup(server.Close)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	w := &world{dir: t.TempDir(), provider: provider}
	w.write(t, "slo/payments.yaml", sloFile)
	w.write(t, "oncall.yaml", oncallFile)
	w.write(t, "secret", "provider-secret\n")
	w.write(t, "token", "the-token-of-the-test\n")
	w.write(t, "midwatch.yaml", fmt.Sprintf(configFile, away.URL, server.URL))
	w.run(t)
	return w
}

func (w *world) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// run starts a Midwatch, over what an earlier one left.
func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	a, err := app.New(ctx, app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stopped := false
	w.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Error(err)
		}
	})
	w.url = "http://" + a.Addr()
	if w.client, err = client.New(client.Config{URL: w.url, Token: secret.New("the-token-of-the-test")}); err != nil {
		t.Fatal(err)
	}
}

// until waits for something to become true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("after 20 s still not: %s", what)
		case <-tick.C:
		}
	}
}

func (w *world) send(t *testing.T, endsAt time.Time) {
	t.Helper()
	body := fmt.Sprintf(`[{"labels":{"alertname":"SLOErrorBudgetBurn","service":"payments","slo":"availability","severity":"P1","tier":"1h5m","cluster":"hangzhou"},"startsAt":%q,"endsAt":%q}]`,
		time.Now().Add(-time.Minute).Format(time.RFC3339), endsAt.Format(time.RFC3339))
	if got, text := w.post(t, "/api/v2/alerts", body, ""); got != http.StatusOK {
		t.Fatalf("alerts were answered %d: %s", got, text)
	}
}

func (w *world) post(t *testing.T, path, body, token string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, req)
}

func (w *world) get(t *testing.T, path string) (status int, text string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return do(t, req)
}

func do(t *testing.T, req *http.Request) (status int, text string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAnAlertBecomesAPageAndIsAcknowledged(t *testing.T) {
	w := start(t)
	w.send(t, time.Now().Add(5*time.Minute))
	until(t, "Li Na is paged", func() bool { return len(w.provider.Messages()) == 1 })
	text := w.provider.Messages()[0].Text
	for _, want := range []string{"P1 payments", "Li Na", "availability", "hangzhou", "http://midwatch.test/incidents/1"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	inc, err := w.client.Acknowledge(t.Context(), 1, "li.na")
	if err != nil || inc.Status != alert.Acknowledged || inc.AckedBy != "test" {
		t.Errorf("acknowledged: %+v, %v; want it to be by the token's name", inc, err)
	}
	w.send(t, time.Now().Add(-time.Second))
	until(t, "Li Na is told that it is over", func() bool { return len(w.provider.Messages()) == 2 })
	if list, err := w.client.List(t.Context(), false); err != nil || len(list) != 0 {
		t.Errorf("open incidents: %v, %v; want none", list, err)
	}
}

func TestWhatWasAcceptedOutlivesARestart(t *testing.T) {
	w := start(t)
	w.provider.Fail(wecom.ServerError, wecom.ServerError, wecom.ServerError)
	w.send(t, time.Now().Add(5*time.Minute))
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	w.provider.Heal()
	w.run(t)
	until(t, "the page is sent after the restart", func() bool { return len(w.provider.Messages()) == 1 })
}

func TestAReloadForgetsNoPageInDoubt(t *testing.T) {
	w := start(t)
	faults := []wecom.Fault{wecom.HalfBody} // it arrives, and nobody can know
	for range 20 {
		faults = append(faults, wecom.ServerError)
	}
	w.provider.Fail(faults...)
	w.send(t, time.Now().Add(5*time.Minute))
	until(t, "the page arrives", func() bool { return len(w.provider.Messages()) == 1 })
	w.write(t, "slo/payments.yaml", strings.Replace(sloFile, "Payments succeed.", "Payments succeed, told otherwise.", 1))
	if status, text := w.post(t, "/-/reload", "", "the-token-of-the-test"); status != http.StatusOK {
		t.Fatalf("reload is answered %d %s", status, text)
	}
	w.provider.Heal()
	until(t, "the page is known to have arrived", func() bool {
		story, err := w.client.Get(t.Context(), 1)
		return err == nil && slices.ContainsFunc(story.Events, func(e alert.Event) bool { return e.Kind == alert.EventPaged })
	})
	if n := len(w.provider.Messages()); n != 1 {
		t.Errorf("%d messages are shown, want 1", n)
	}
}

func TestAMissingClusterIsNamed(t *testing.T) {
	w := start(t)
	status, text := w.get(t, "/api/v1/query?query=up")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "hangzhou") {
		t.Errorf("a query with no cluster there is answered %d %s; want 503 and the cluster's name", status, text)
	}
	status, text = w.get(t, "/")
	if status != http.StatusOK || !strings.Contains(text, "hangzhou") || !strings.Contains(text, "availability") {
		t.Errorf("/ is answered %d; want the SLO, and a warning that names the cluster:\n%s", status, text)
	}
}

func TestAWrongReloadChangesNothing(t *testing.T) {
	w := start(t)
	w.write(t, "slo/payments.yaml", strings.Replace(sloFile, "99.95", "100", 1))
	if status, text := w.post(t, "/-/reload", "", "the-token-of-the-test"); status != http.StatusUnprocessableEntity || !strings.Contains(text, "payments.yaml:9") {
		t.Errorf("reload of a wrong SLO is answered %d %s; want 422 and the place", status, text)
	}
	if status, _ := w.post(t, "/-/reload", "", "wrong"); status != http.StatusUnauthorized && status != http.StatusForbidden {
		t.Errorf("reload with a wrong token is answered %d", status)
	}
	if _, text := w.get(t, "/metrics"); !strings.Contains(text, "midwatch_config_last_reload_successful 0") {
		t.Error("the metrics do not say that the reload failed")
	}
	w.write(t, "slo/payments.yaml", strings.Replace(sloFile, "99.95", "99.9", 1))
	if status, text := w.post(t, "/-/reload", "", "the-token-of-the-test"); status != http.StatusOK {
		t.Errorf("reload is answered %d %s", status, text)
	}
	until(t, "the new objective is shown", func() bool {
		_, text := w.get(t, "/")
		return strings.Contains(text, "99.9") && !strings.Contains(text, "99.95")
	})
}

func TestOperatorsSeeItsState(t *testing.T) {
	w := start(t)
	for path, want := range map[string]string{
		"/-/healthy": "",
		"/-/ready":   "",
		"/metrics":   "midwatch_build_info",
	} {
		var text string
		until(t, path+" answers 200", func() bool {
			var status int
			status, text = w.get(t, path)
			return status == http.StatusOK
		})
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q", path, want)
		}
	}
}

func TestEveryProblemOfAStartIsToldWithItsPlace(t *testing.T) {
	w := &world{dir: t.TempDir()}
	w.write(t, "slo/payments.yaml", strings.Replace(sloFile, "99.95", "100", 1))
	w.write(t, "oncall.yaml", strings.Replace(oncallFile, "default_schedule: payments", "default_schedule: orders", 1))
	w.write(t, "token", "short\n")
	w.write(t, "midwatch.yaml", `external_url: http://midwatch.test
slo_files: [slo/*.yaml, none/*.yaml]
oncall_files: [oncall.yaml]
clusters:
  - {name: hangzhou, urls: ["http://127.0.0.1:1"]}
logs: {url: "http://127.0.0.1:1", limit: 1000000}
notifiers:
  wecom: {agent_id: 1000002, secret: of-the-provider}
  email: {smarthost: nowhere, from: nobody, username: a, password: of-the-mail-server}
report: {to: [{channel: email}]}
ingest: {sentry_secret: ""}
api:
  tokens: [{name: test, token_file: token}]
  ingest_tokens:
    -
`)
	_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	problems, _ := diag.Of(err)
	var printed strings.Builder
	if err := problems.Print(&printed); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"midwatch.yaml:2:12: slo_files: ", "none/*.yaml matches no file",
		"oncall.yaml:11:", "orders",
		"midwatch.yaml:6:7: logs: ", "limit is 1000000",
		"midwatch.yaml:8:10: notifiers.wecom: ", "corp_id: missing",
		"midwatch.yaml:9:10: notifiers.email: ", "smarthost: want host:port", "from: want an address",
		"but to no address", "midwatch.yaml:11:9: ingest: ", "sentry_secret is empty",
		"midwatch.yaml:13:11: api.tokens: ", "needs 8 bytes or more",
		"midwatch.yaml:15:5: api.ingest_tokens: ", "ingest_tokens.0.token: needs 8 bytes or more",
	} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("no problem says %q", want)
		}
	}
	if strings.Contains(printed.String(), "of-the-") {
		t.Error("a secret is printed")
	}
	if t.Failed() {
		t.Log(err, "\n", printed.String())
	}
}

func TestAProblemShowsNoSecretBesideIt(t *testing.T) {
	w := &world{dir: t.TempDir()}
	for _, text := range []string{
		"notifiers:\n  wecom: {secret: of-the-provider, corpid: x}\n",
		"notifiers:\n  wecom: {secret: of-the-provider, corp_id: [}\n",
		"logs:\n  pasword: of-the-logs\n",
		"clusters:\n  - name: hangzhou\n    basic_auth: of-the-cluster\n",
		"clusters:\n  - {name: hangzhou, basic_auth: {password: of-the-cluster}, urls: [1]}\n",
		"clusters:\n  - name: hangzhou\n    http_headers:\n      X: {secrets: [[of-the-cluster]]}\n",
		"clusters:\n  - name: hangzhou\n    tls_config: {key: of-the-cluster}\n",
		"clusters:\n  - name: hangzhou\n    proxy_url: of-the-cluster\n",
		"clusters:\n  - {name: hangzhou, urls: [\"ftp://midwatch:of-the-cluster@prometheus\"]}\n",
	} {
		w.write(t, "midwatch.yaml", text)
		_, err := app.LoadConfig(filepath.Join(w.dir, "midwatch.yaml"))
		problems, _ := diag.Of(err)
		var printed strings.Builder
		if err := problems.Print(&printed); err != nil {
			t.Fatal(err)
		}
		if len(problems) == 0 || strings.Contains(printed.String(), "of-the-") {
			t.Errorf("of %q it prints %s", text, printed.String())
		}
	}
}

func TestAChannelWithoutSettingsIsNamedWithItsPlace(t *testing.T) {
	w := &world{dir: t.TempDir()}
	w.write(t, "midwatch.yaml", "notifiers:\n  slack:\n")
	_, err := app.LoadConfig(filepath.Join(w.dir, "midwatch.yaml"))
	if err == nil || !strings.Contains(err.Error(), "midwatch.yaml:2:9: notifiers.slack: want a mapping") {
		t.Errorf("the problem is %v", err)
	}
}

func TestConfigurationProblemsComeAtOnceWithTheirPlace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "midwatch.yaml")
	text := "external_url: midwatch.test\nclusters:\n  - {name: hangzhou, urls: [\"ftp://x\"]}\nnotifiers: {}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := app.LoadConfig(path)
	if err == nil {
		t.Fatal("a wrong configuration was taken")
	}
	for _, want := range []string{
		"midwatch.yaml:1:15: external_url: ",
		"slo_files: missing",
		"oncall_files: missing",
		"midwatch.yaml:3:29: clusters.0.urls.0",
		"nobody could be paged",
		"nobody could acknowledge",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no problem says %q:\n%v", want, err)
		}
	}
}
