package loki

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/grafana/loki/v3/pkg/loghttp"
	"github.com/grafana/loki/v3/pkg/logql/syntax"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/correlate"
	"github.com/midwatch-slo/midwatch/internal/secret"
)

func configured(t *testing.T) *Config {
	t.Helper()
	c := &Config{URL: "http://loki.example.com"}
	if err := c.defaults(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestWindow(t *testing.T) {
	c := configured(t)
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	for ago, want := range map[time.Duration]time.Duration{
		0:                             10 * time.Minute,
		2*time.Minute + 4*time.Second: 12 * time.Minute,
		49 * time.Minute:              59 * time.Minute,
		5 * time.Hour:                 time.Hour,
		-time.Hour:                    5 * time.Minute, // its sender's clock is wrong
	} {
		w := c.window(alert.Incident{Since: now.Add(-ago)}, now)
		if !w.to.Equal(now) || w.length() != want {
			t.Errorf("began %s ago: from %s, %s long, want %s", ago, w.from, w.length(), want)
		}
		if b := w.before(); !b.to.Equal(w.from) || b.length() != want {
			t.Errorf("began %s ago: before is %s to %s", ago, b.from, b.to)
		}
	}
}

func inClusters(service string, clusters ...string) alert.Incident {
	inc := alert.Incident{Service: service}
	for _, c := range clusters {
		inc.Alerts = append(inc.Alerts, alert.Alert{Labels: model.LabelSet{"cluster": model.LabelValue(c)}})
	}
	return inc
}

func stream(pairs ...string) loghttp.LabelSet {
	s := loghttp.LabelSet{}
	for i := 0; i < len(pairs); i += 2 {
		s[pairs[i]] = pairs[i+1]
	}
	return s
}

func TestErrorQueries(t *testing.T) {
	const words = ` |~ "(?i)\\b(?:error|fatal)\\b"`
	for name, c := range map[string]struct {
		inc      alert.Incident
		selector string
		streams  []loghttp.LabelSet
		want     []string
	}{
		"levels as they are written": {
			inClusters("pay", "b", "a"), `{namespace="prod", app="pay"}`,
			[]loghttp.LabelSet{stream("cluster", "a", "level", "ERROR"), stream("cluster", "b", "level", "error"), stream("cluster", "b", "level", "info")},
			[]string{`{namespace="prod", app="pay", cluster=~"a|b", level=~"ERROR|error"}`},
		},
		"no level label": {
			inClusters("pay", "a"), "",
			[]loghttp.LabelSet{stream("cluster", "a")},
			[]string{`{app="pay", cluster="a"}` + words},
		},
		"some have it, some name no cluster": {
			inClusters("pay", "a"), "",
			[]loghttp.LabelSet{stream("cluster", "a", "level", "fatal"), stream()},
			[]string{`{app="pay", cluster=~"a|", level="fatal"}`, `{app="pay", cluster=~"a|", level=""}` + words},
		},
		"no cluster is known": {
			inClusters("pay"), "",
			[]loghttp.LabelSet{stream("level", "error")},
			[]string{`{app="pay", level="error"}`},
		},
		"no errors": {
			inClusters("pay"), "",
			[]loghttp.LabelSet{stream("level", "info")},
			nil,
		},
		"names that would break out": {
			inClusters("x\"} or {a=`b`}\n", `h"|.*`), "",
			[]loghttp.LabelSet{stream("cluster", "c", "level", "error")},
			[]string{`{app="x\"} or {a=` + "`b`" + `}\n", cluster="h\"|.*", level="error"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			conf := configured(t)
			conf.ErrorLevels = []string{"error", "fatal"}
			ms, err := conf.matchers(c.inc, c.selector)
			if err != nil {
				t.Fatal(err)
			}
			if ms, err = conf.narrow(ms, c.inc, c.streams); err != nil {
				t.Fatal(err)
			}
			got, err := conf.errorQueries(ms, c.streams)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			parse(t, got)
		})
	}
}

// parse wants LogQL.
func parse(t *testing.T, queries []string) {
	t.Helper()
	for _, q := range queries {
		if _, err := syntax.ParseExpr(q); err != nil {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func TestSelectorsThatAreNone(t *testing.T) {
	c := configured(t)
	for selector, want := range map[string]string{
		"":                     "its SLO has no logs selector and its alerts name no service",
		`{app="x"} |= "y"`:     "is no stream selector",
		`{}`:                   "is no stream selector",
		`{app="x"`:             "is no stream selector",
		`rate({app="x"}[5m])`:  "is no stream selector",
		strings.Repeat("{", 9): "is no stream selector",
	} {
		if _, err := c.matchers(alert.Incident{}, selector); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", selector, err)
		}
	}
}

// FuzzCountQuery checks that whatever stands in a line, the query made of its
// pattern is LogQL.
func FuzzCountQuery(f *testing.F) {
	for _, seed := range []string{
		`{"message":"a \"b\" \\ 1 支付","errorCode":"E\"1"}`, `level=error msg="x 1" err_code=a`, "plain `1` \"x\" \\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		ps := correlate.NewPatterns(correlate.NewMasker())
		ps.Add(correlate.Parse(line))
		for _, p := range ps.Ranked() {
			query, ok := countQuery(`{app="pay"}`, p, time.Minute)
			if !ok {
				continue
			}
			if _, err := syntax.ParseSampleExpr(query); err != nil {
				t.Fatalf("%s: %v", query, err)
			}
		}
	})
}

func TestExploreLink(t *testing.T) {
	c := configured(t)
	if got := c.explore([]string{"{}"}, window{}); got != "" {
		t.Errorf("without grafana: %q", got)
	}
	c.GrafanaURL, c.GrafanaDatasource = "https://grafana.example.com/g/", "P8E80F9AEF21F6940"
	w := window{time.UnixMilli(1_795_000_000_000), time.UnixMilli(1_795_000_600_000)}
	u, err := url.Parse(c.explore([]string{`{app="pay"} |~ "a&b"`}, w))
	if err != nil {
		t.Fatal(err)
	}
	if u.Host+u.Path != "grafana.example.com/g/explore" || u.Query().Get("schemaVersion") != "1" {
		t.Errorf("link %s", u)
	}
	want := `{"logs":{"datasource":"P8E80F9AEF21F6940","queries":[{"refId":"A","expr":"{app=\"pay\"} |~ \"a&b\"","queryType":"range","datasource":{"type":"loki","uid":"P8E80F9AEF21F6940"}}],"range":{"from":"1795000000000","to":"1795000600000"}}}`
	var got, wanted any
	if err := json.Unmarshal([]byte(u.Query().Get("panes")), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if a, b := mustJSON(t, got), mustJSON(t, wanted); a != b {
		t.Errorf("panes\n%s\nwant\n%s", a, b)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestConfigNamesEveryProblem(t *testing.T) {
	_, err := New(Config{
		URL: "http://user:hunter2@loki", Username: "u", BearerToken: secret.New("t"), LevelLabel: "a-b",
		Limit: -1, GrafanaURL: "x",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"url holds a user name", "username and password go together", `level_label: "a-b"`, "limit is -1", "grafana_datasource is missing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is in:\n%v", err)
	}
}
