package app

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/promslog"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/ruler"
	"github.com/midwatch-slo/midwatch/slo"
)

// moody is a target that fails as it is told.
type moody struct{ err error }

func (m *moody) name() string { return "moody" }

func (m *moody) sync(context.Context, *ruleKeeper, rules.Set) (string, error) { return "", m.err }

// Rules that are not kept for half an hour are an alert, as long as they are
// not; then it is over.
func TestRulesThatAreNotKeptAlert(t *testing.T) {
	target := &moody{}
	s := &state{rules: &ruleTargets{every: 5 * time.Minute, targets: []ruleTarget{target}}}
	a := &App{o: Options{Logger: promslog.NewNopLogger()}}
	k := newRuleKeeper(a, prometheus.NewRegistry())
	at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	k.current, k.now = func() *state { return s }, func() time.Time { return at }
	var told []alert.Alert
	k.report = func(_ context.Context, alerts []alert.Alert) error { told = append(told, alerts...); return nil }
	steps := []struct {
		err  error
		want alert.State // of what is told; "": nothing
	}{
		{nil, alert.Resolved}, // what was open before a restart is over
		{nil, ""},
		{errors.New("disk is full"), ""}, // 10 minutes
		{errors.New("disk is full"), ""},
		{errors.New("disk is full"), ""},
		{errors.New("disk is full"), alert.Firing}, // 40 minutes: for 30
		{errors.New("disk is read-only"), alert.Firing},
		{nil, alert.Resolved},
		{nil, ""},
		{errors.New("disk is full"), ""},
	}
	for i, step := range steps {
		told, target.err = nil, step.err
		k.pass(t.Context(), s)
		switch {
		case step.want == "" && len(told) == 0:
		case len(told) != 1 || told[0].State != step.want:
			t.Errorf("step %d: told %+v, want %q", i, told, step.want)
		case step.want == alert.Firing:
			started := time.Date(2026, 11, 21, 3, 20, 0, 0, time.UTC)
			text := string(told[0].Annotations["description"])
			if !told[0].StartsAt.Equal(started) || told[0].EndsAt.Sub(at) < 2*s.rules.every || !strings.Contains(text, step.err.Error()) || told[0].Label("target") != "moody" {
				t.Errorf("step %d: %+v", i, told[0])
			}
		}
		at = at.Add(10 * time.Minute)
	}
}

// Each ruler gets the groups that it evaluates.
func TestARulerGetsItsPart(t *testing.T) {
	got := map[string]string{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			http.Error(w, "no rule groups found", http.StatusNotFound)
			return
		}
		b, _ := io.ReadAll(r.Body)
		got[r.URL.Path] += string(b)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	slos, err := slo.Parse("slo.yaml", []byte(minimalSLO))
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Compile(slos, rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	group := func(name string) rules.File { return rules.File{Name: name, Groups: set.Files[0].Groups[:1]} }
	set.Files = append(set.Files, group("fleet/midwatch-fleet.yaml"), group("loki/midwatch-logs.yaml"))
	s := &state{rules: &ruleTargets{every: time.Minute, set: set}}
	s.rules.readRulers([]Ruler{
		{Config: ruler.Config{URL: server.URL}, Namespace: "all"},
		{Config: ruler.Config{URL: server.URL}, Namespace: "fleet", Parts: []string{partFleet}},
		{Config: ruler.Config{URL: server.URL, API: ruler.Loki}, Namespace: "logs"},
	}, t.TempDir(), func(field, message, _ string) { t.Errorf("%s: %s", field, message) })
	k := newRuleKeeper(&App{o: Options{Logger: promslog.NewNopLogger()}}, prometheus.NewRegistry())
	k.current = func() *state { return s }
	k.report = func(context.Context, []alert.Alert) error { return nil }
	k.pass(t.Context(), s)
	for path, want := range map[string]int{"/prometheus/config/v1/rules/all": len(set.Groups()) - 2, "/prometheus/config/v1/rules/fleet": 1, "/loki/api/v1/rules/logs": 1} {
		if n := strings.Count(got[path], "name: midwatch-"); n != want {
			t.Errorf("%s got %d groups, want %d", path, n, want)
		}
	}
	if status, _ := k.RuleStatus(); len(status.Targets) != 3 || status.Targets[0].Error != "" {
		t.Errorf("the status is %+v", status)
	}
}
