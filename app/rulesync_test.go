package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// keeping is a Midwatch that keeps the rules of a real Prometheus.
type keeping struct {
	*world
	prometheus *servers.Prometheus
}

const keptConfig = `external_url: http://midwatch.test
slo_files: [slo/*.yaml]
oncall_files: [oncall.yaml]
clusters:
  - {name: hangzhou, urls: ["%[1]s"]}
evidence: {wait: 0s}
notifiers:
  wecom: {api_url: "%[2]s", corp_id: ww-test, agent_id: 1000002, secret_file: secret}
api:
  tokens: [{name: test, token_file: token}]
rules:
  every: 1h
  files:
    - dir: prometheus/rules
      reload_urls: ["%[1]s"]
`

func startKeeping(t *testing.T) *keeping {
	t.Helper()
	provider := httptest.NewServer(wecom.New(wecom.Config{CorpID: "ww-test", Secret: "provider-secret", AgentID: 1000002, Members: []string{"LiNa"}}))
	t.Cleanup(provider.Close)
	k := &keeping{world: &world{dir: t.TempDir()}}
	k.write(t, "prometheus/rules/theirs.yaml", "groups: [{name: theirs, rules: [{record: a, expr: vector(1)}]}]\n")
	var err error
	k.prometheus, err = servers.StartPrometheus(t.Context(), servers.PrometheusSpec{
		Name: "hangzhou", Dir: filepath.Join(k.dir, "prometheus"), Flags: []string{"--web.enable-lifecycle"},
		Config: "global: {external_labels: {cluster: hangzhou}}\nrule_files: [rules/*.yaml]\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.prometheus.Stop() })
	k.write(t, "slo/payments.yaml", sloFile)
	k.write(t, "oncall.yaml", oncallFile)
	k.write(t, "secret", "provider-secret\n")
	k.write(t, "token", "the-token-of-the-test\n")
	k.write(t, "midwatch.yaml", fmt.Sprintf(keptConfig, k.prometheus.URL, provider.URL))
	k.run(t)
	return k
}

// loaded returns the names of the groups that Prometheus has loaded, each with
// the expression of its first rule.
func (k *keeping) loaded(t *testing.T) map[string]string {
	t.Helper()
	resp, err := http.Get(k.prometheus.URL + "/api/v1/rules")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Groups []struct {
				Name  string
				Rules []struct{ Query string }
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	groups := map[string]string{}
	for _, g := range answer.Data.Groups {
		groups[g.Name] = g.Rules[0].Query
	}
	return groups
}

func (k *keeping) status(t *testing.T) (out wire.RuleStatus) {
	t.Helper()
	out, err := k.client.RuleStatus(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (k *keeping) reload(t *testing.T) {
	t.Helper()
	if status, text := k.post(t, "/-/reload", "", "the-token-of-the-test"); status != http.StatusOK {
		t.Fatalf("reload is answered %d %s", status, text)
	}
}

// inStep waits until a look after now finds the cluster with so many
// differences, and returns what it found.
func (k *keeping) inStep(t *testing.T, different int) (found wire.RuleCluster) {
	t.Helper()
	until(t, fmt.Sprintf("%d groups are different", different), func() bool {
		s := k.status(t)
		if len(s.Clusters) != 1 || len(s.Targets) != 1 || s.Targets[0].Error != "" || s.Clusters[0].Error != "" {
			return false
		}
		found = s.Clusters[0]
		return found.Different == different
	})
	return found
}

const (
	paymentsEvents = "midwatch-events/payments/availability"
	ordersEvents   = "midwatch-events/orders/availability"
)

// What an SLO file says is what the Prometheus evaluates, from the start on
// and after each reload; others' rules stay.
func TestRulesAreKeptInStep(t *testing.T) {
	k := startKeeping(t)
	k.inStep(t, 0)
	if got := k.loaded(t); !strings.Contains(got[paymentsEvents], `app="payments"`) || got["theirs"] == "" {
		t.Fatalf("loaded at the start: %v", got)
	}
	k.write(t, "slo/payments.yaml", strings.ReplaceAll(sloFile, `app="payments"`, `app="payments-2"`))
	k.write(t, "slo/orders.yaml", strings.ReplaceAll(sloFile, "payments", "orders"))
	k.reload(t)
	until(t, "the change and the new SLO are loaded", func() bool {
		got := k.loaded(t)
		return strings.Contains(got[paymentsEvents], `app="payments-2"`) && strings.Contains(got[ordersEvents], `app="orders"`)
	})
	k.inStep(t, 0)
	if err := os.Remove(filepath.Join(k.dir, "slo/orders.yaml")); err != nil {
		t.Fatal(err)
	}
	k.reload(t)
	until(t, "the SLO that was removed is not loaded", func() bool { return k.loaded(t)[ordersEvents] == "" })
	if got := k.loaded(t); got[paymentsEvents] == "" || got["theirs"] == "" {
		t.Errorf("loaded at the end: %v", got)
	}
	found := k.inStep(t, 0)
	_, metrics := k.get(t, "/metrics")
	if !strings.Contains(metrics, `midwatch_cluster_rules_different{cluster="hangzhou"} 0`) || !strings.Contains(metrics, "midwatch_rules_last_success_timestamp_seconds{") || found.CheckedAt.IsZero() {
		t.Error("the metrics lack the rules")
	}
}

// Rules that somebody changed by hand, added, or keeps in a second file are
// named, with what they should be.
func TestRulesLoadedOtherwiseAreReported(t *testing.T) {
	k := startKeeping(t)
	k.inStep(t, 0)
	name := filepath.Join(k.dir, "prometheus/rules/midwatch-slo-payments.yaml")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(b), `app="payments"`, `app="payments-by-hand"`, 1)
	// A file that is not Midwatch's, which a deploy by hand would leave.
	_, edited, _ = strings.Cut(edited, "\n")
	edited += "  - {name: midwatch-events/old/slo, interval: 30s, rules: [{record: a, expr: vector(1)}]}\n"
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	k.write(t, "prometheus/rules/by-hand.yaml", edited)
	resp, err := http.Post(k.prometheus.URL+"/-/reload", "", nil)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", resp, err)
	}
	resp.Body.Close()
	// It writes the missing file again, and then each group is there twice.
	k.reload(t)
	found := k.inStep(t, 4)
	var told []string
	for _, d := range found.Differences {
		told = append(told, d.Group+": "+d.Rule+" "+d.What)
		if d.What == "another expression" && (!strings.Contains(d.Want, `app="payments"`) || !strings.Contains(d.Have, "by-hand")) {
			t.Errorf("want %q, have %q", d.Want, d.Have)
		}
	}
	for _, want := range []string{
		paymentsEvents + ": slo:sli_total:rate5m another expression", paymentsEvents + ":  loaded twice, from two files",
		"midwatch-events/old/slo:  loaded, and of no SLO that there is",
	} {
		if !strings.Contains(strings.Join(told, "\n"), want) {
			t.Errorf("nothing says %q:\n%s", want, strings.Join(told, "\n"))
		}
	}
	if _, metrics := k.get(t, "/metrics"); !strings.Contains(metrics, `midwatch_cluster_rules_different{cluster="hangzhou"} 4`) {
		t.Error("the metric lacks it")
	}
	if err := os.Remove(filepath.Join(k.dir, "prometheus/rules/by-hand.yaml")); err != nil {
		t.Fatal(err)
	}
	resp, err = http.Post(k.prometheus.URL+"/-/reload", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	k.reload(t)
	k.inStep(t, 0)
}

// A Prometheus that does not load what was written is asked again, though the
// files have not changed since.
func TestAReloadThatFailedIsAskedForAgain(t *testing.T) {
	k := startKeeping(t)
	k.inStep(t, 0)
	k.write(t, "prometheus/rules/broken.yaml", "groups: [{name: broken, rules: [{record: a, expr: '('}]}]\n")
	k.write(t, "slo/orders.yaml", strings.ReplaceAll(sloFile, "payments", "orders"))
	k.reload(t)
	until(t, "the failure is told", func() bool { return strings.Contains(k.status(t).Targets[0].Error, "it answers 500") })
	if _, metrics := k.get(t, "/metrics"); !strings.Contains(metrics, "midwatch_rules_failures_total{") {
		t.Error("the metrics lack the failure")
	}
	if err := os.Remove(filepath.Join(k.dir, "prometheus/rules/broken.yaml")); err != nil {
		t.Fatal(err)
	}
	k.reload(t)
	until(t, "the new SLO is loaded", func() bool { return k.loaded(t)[ordersEvents] != "" })
	k.inStep(t, 0)
}

func TestWhereRulesAreKeptIsChecked(t *testing.T) {
	w := &world{dir: t.TempDir()}
	w.write(t, "slo/payments.yaml", sloFile)
	w.write(t, "oncall.yaml", oncallFile)
	w.write(t, "token", "the-token-of-the-test\n")
	w.write(t, "secret", "provider-secret\n")
	before, _, _ := strings.Cut(fmt.Sprintf(keptConfig, "http://127.0.0.1:1", "http://127.0.0.1:1"), "rules:")
	for text, wants := range map[string][]string{
		"  intervall: 30s\n": {"rules.intervall", "unknown"},
		`  every: 1s
  compat: pyrra
  compare: [beijing]
  files:
    - {format: prometheus}
    - {dir: a, format: toml, reload_urls: ["ftp://user:of-the-cluster@x"]}
    - {dir: a, labels: {a: b}}
  rulers:
    - {url: "mimir"}
    - {url: "http://mimir", parts: [logs]}
    - {url: "http://mimir", api: loki, parts: [cluster]}
    - {url: "http://mimir", bearer_token_file: none, password: of-the-ruler}
`: {
			"rules.every: 1s is not between", `rules.compat: "pyrra" is not to be had`, `rules.compare.0: there is no cluster "beijing"`,
			"rules.files.0.dir: missing", "rules.files.1: format \"toml\" is none", "rules.files.1.reload_urls.0: want an http or https URL",
			"rules.files.2.dir: this folder is given twice", "rules.files.2: namespace and labels are of objects",
			"rules.rulers.0: url: want an http", `rules.rulers.1.parts: "logs" is not for this ruler`, `rules.rulers.2.parts: "cluster" is not for this ruler`,
			"rules.rulers.3: there are both a username and a bearer token",
		},
		"  interval: 40s\n": {"rules: compile: interval 40s does not divide 5m"},
	} {
		w.write(t, "midwatch.yaml", before+"rules:\n"+text)
		_, err := app.New(t.Context(), app.Options{ConfigFile: filepath.Join(w.dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
		problems, _ := diag.Of(err)
		var printed strings.Builder
		if err := problems.Print(&printed); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(printed.String(), want) {
				t.Errorf("no problem says %q:\n%v\n%s", want, err, printed.String())
			}
		}
		if strings.Contains(printed.String(), "of-the-") {
			t.Errorf("a secret is printed: %s", printed.String())
		}
	}
}
