package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
)

const servedConfig = `external_url: http://midwatch.test
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters: [{name: hangzhou, urls: ["%s"]}]
watchdog: {disabled: true}
evidence: {wait: 0s}
store: {%s}
notifiers:
  wecom: {api_url: "%s", corp_id: ww-test, agent_id: 1000002, secret: provider-secret}
api:
  tokens: [{name: test, token_file: token}]
`

const servedSLO = `apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: availability}
spec:
  service: payments
  critical: true
  objective: 99.95
  window: 30d
  runbook: https://runbooks.example.com/payments
  sli: {events: {errors: errors_total, total: requests_total}}
`

const servedOnCall = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - {name: li.na, full_name: Li Na, contacts: [{channel: wecom, address: LiNa}]}
  - {name: zhang.wei, full_name: Zhang Wei, contacts: [{channel: wecom, address: ZhangWei}]}
schedules:
  - name: payments
    timezone: Asia/Shanghai
    rotation: {handoff: "0 10 * * mon", start: "2026-11-16T10:00", participants: [li.na]}
default_schedule: payments
`

// served is what a script of commands against a server has.
type served struct {
	dir, provided, cluster string
	provider               *wecom.Server
	deferred               func(func())
	setenv                 func(key, value string)
}

// TestServed runs scripts of commands against a Midwatch that serves, with a
// stand-in for WeCom and a cluster that is away.
func TestServed(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script/served", RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			w := &served{dir: env.WorkDir, deferred: env.Defer, setenv: env.Setenv}
			env.Values[served{}.key()] = w
			return w.setup()
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"alert": alertCmd, "paged": pagedCmd, "fail": failCmd, "await": awaitCmd, "serve": serveCmd, "postgres": postgresCmd,
		},
	})
}

func (served) key() string { return "served" }

func (w *served) setup() error {
	w.provider = wecom.New(wecom.Config{CorpID: "ww-test", Secret: "provider-secret", AgentID: 1000002, Members: []string{"LiNa", "ZhangWei"}})
	provider := httptest.NewServer(w.provider)
	w.deferred(provider.Close)
	away := httptest.NewServer(http.NotFoundHandler())
	away.Close()
	w.provided, w.cluster = provider.URL, away.URL
	for name, text := range map[string]string{
		"slo.yaml": servedSLO, "oncall.yaml": servedOnCall, "token": "the-token-of-the-test\n",
		"midwatch.yaml": w.config("path: midwatch.db"), "second.yaml": w.config("path: second.db"), "dead.yaml": w.config("path: dead/midwatch.db"),
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	w.setenv("MIDWATCH_TOKEN_FILE", filepath.Join(w.dir, "token"))
	w.setenv("TZ", "UTC")
	w.setenv("GORACE", atOnce)
	return w.serve("midwatch.yaml")
}

func (w *served) config(store string) string {
	return fmt.Sprintf(servedConfig, w.cluster, store, w.provided)
}

// serve starts a Midwatch, to which commands then speak.
func (w *served) serve(config string) error {
	ctx, cancel := context.WithCancel(context.Background())
	a, err := app.New(ctx, app.Options{ConfigFile: filepath.Join(w.dir, config), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err != nil {
		cancel()
		return err
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	w.deferred(func() { cancel(); <-done })
	w.setenv("MIDWATCH_URL", "http://"+a.Addr())
	return nil
}

func of(ts *testscript.TestScript) *served { return ts.Value(served{}.key()).(*served) }

// serveCmd starts another Midwatch: serve CONFIG.
func serveCmd(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	w.setenv, w.deferred = ts.Setenv, ts.Defer
	ts.Check(w.serve(args[0]))
}

// postgresCmd starts a PostgreSQL, and configures a Midwatch on it: postgres CONFIG.
func postgresCmd(ts *testscript.TestScript, _ bool, args []string) {
	w := of(ts)
	pg, err := servers.StartPostgres(context.Background(), servers.PostgresSpec{Dir: ts.MkAbs("postgres"), Settings: []string{"fsync=off"}})
	ts.Check(err)
	ts.Defer(func() { _ = pg.Discard() })
	url, err := pg.CreateDatabase(context.Background(), "midwatch")
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs("url"), []byte(url), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(w.config("url_file: url")), 0o600))
}

// alertCmd sends an alert that fires, with labels NAME=VALUE.
func alertCmd(ts *testscript.TestScript, _ bool, args []string) {
	labels := map[string]string{"cluster": "hangzhou"}
	for _, arg := range args {
		name, value, _ := strings.Cut(arg, "=")
		labels[name] = value
	}
	b, err := json.Marshal([]map[string]any{{"labels": labels, "endsAt": time.Now().Add(time.Hour)}})
	ts.Check(err)
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, ts.Getenv("MIDWATCH_URL")+"/api/v2/alerts", strings.NewReader(string(b)))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("the alert is answered %s", resp.Status)
	}
}

// pagedCmd waits until a member has a message that matches: paged MEMBER REGEXP.
func pagedCmd(ts *testscript.TestScript, _ bool, args []string) {
	match := regexp.MustCompile(args[1])
	eventually(ts, "no page to "+args[0]+" matches "+args[1], func() bool {
		for _, m := range of(ts).provider.Messages() {
			if strings.EqualFold(m.To, args[0]) && match.MatchString(m.Text) {
				return true
			}
		}
		return false
	})
}

// failCmd lets the provider refuse what comes next: fail FAULT COUNT.
func failCmd(ts *testscript.TestScript, _ bool, args []string) {
	for range len(args[1]) {
		of(ts).provider.Fail(wecom.Fault(args[0]))
	}
}

// awaitCmd runs a command until it prints what matches REGEXP.
func awaitCmd(ts *testscript.TestScript, _ bool, args []string) {
	match := regexp.MustCompile(args[0])
	eventually(ts, "no output matches "+args[0], func() bool {
		return ts.Exec(args[1], args[2:]...) == nil && match.MatchString(ts.ReadFile("stdout"))
	})
}

// patience is how long a busy machine may take.
const patience = 30 * time.Second

func eventually(ts *testscript.TestScript, otherwise string, ok func() bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			ts.Fatalf("after %s: %s", patience, otherwise)
		case <-tick.C:
		}
	}
}
