package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/api/v2/models"

	"github.com/midwatch-slo/midwatch/silence"
)

// lister is an answer of Alerts.
type lister []AlertStatus

// Alerts returns it.
func (l lister) Alerts(context.Context) ([]AlertStatus, error) { return l, nil }

func (h house) withAlerts(t *testing.T, list ...AlertStatus) house {
	t.Helper()
	return newHouse(t, func(c *Config) {
		m := &memory{now: c.Now}
		c.Alerts, c.Silences = lister(list), m
		c.Receivers = func() []string { return []string{"payments", "nobody\n: x"} }
	})
}

func decoded[T any](t *testing.T, h house, target string) (out T) {
	t.Helper()
	w := h.ask(t, http.MethodGet, target, "")
	wantCode(t, w, http.StatusOK)
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
	return out
}

func statuses() []AlertStatus {
	calm, quiet, dead, away := burning("beijing"), burning("hangzhou"), burning("test"), burning("bare")
	calm.IncidentID, quiet.IncidentID, dead.IncidentID, away.IncidentID = 1, 1, 1, 2
	away.Labels = away.Labels.Clone()
	delete(away.Labels, "slo")
	return []AlertStatus{
		{Alert: calm, Policy: "payments"},
		{Alert: quiet, Policy: "payments", SilencedBy: []string{"a", "b"}},
		{Alert: dead, Policy: "payments", InhibitedBy: []string{"0123456789abcdef"}},
		{Alert: away, Policy: "batch", MutedBy: []string{"upgrade"}},
	}
}

func TestAlertsAreFiltered(t *testing.T) {
	h := house{}.withAlerts(t, statuses()...)
	for query, want := range map[string]string{
		"":                               "bare beijing hangzhou test",
		"active=false":                   "bare hangzhou test",
		"silenced=false":                 "bare beijing test",
		"inhibited=false":                "bare beijing hangzhou",
		"silenced=false&inhibited=false": "bare beijing",
		"unprocessed=false":              "bare beijing hangzhou test",
		"receiver=pay.*":                 "beijing hangzhou test",
		"receiver=pay":                   "",
		`filter=cluster%3D~"b.*"`:        "bare beijing",
		`filter=cluster%3D~"b.*"&filter=slo!%3D""`: "beijing",
		`receiver_matchers=owner%3D"me"`:           "",
	} {
		var got []string
		for _, a := range decoded[[]models.GettableAlert](t, h, "/api/v2/alerts?"+query) {
			got = append(got, a.Labels["cluster"])
		}
		slices.Sort(got)
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s: %s, want %s", query, text, want)
		}
	}
	for _, query := range []string{"active=perhaps", "filter=x", "filter=" + strings.Repeat("a", 5000), "receiver=(", strings.Repeat("filter=a%3Db&", 40), "receiver_matchers=%ff"} {
		wantCode(t, h.ask(t, http.MethodGet, "/api/v2/alerts?"+query, ""), http.StatusBadRequest)
	}
}

func TestAlertsSayWhyTheyAreQuiet(t *testing.T) {
	h := house{}.withAlerts(t, statuses()...)
	list := decoded[[]models.GettableAlert](t, h, `/api/v2/alerts?filter=cluster%3D"hangzhou"`)
	a := list[0]
	if *a.Status.State != "suppressed" || strings.Join(a.Status.SilencedBy, ",") != "a,b" || *a.Receivers[0].Name != "payments" ||
		*a.Fingerprint != burning("hangzhou").Fingerprint().String() || !time.Time(*a.StartsAt).Equal(start.Add(-9*time.Minute)) {
		t.Errorf("got %+v, status %+v", a, a.Status)
	}
	if a.Status.MutedBy == nil || a.Status.InhibitedBy == nil {
		t.Error("an empty list is null")
	}
}

func TestGroups(t *testing.T) {
	h := house{}.withAlerts(t, statuses()...)
	list := decoded[models.AlertGroups](t, h, "/api/v2/alerts/groups")
	if len(list) != 2 {
		t.Fatalf("%d groups", len(list))
	}
	first, second := list[0], list[1]
	if first.Labels["alertname"] != "SLOErrorBudgetBurn" || *first.Receiver.Name != "batch" || len(first.Alerts) != 1 {
		t.Errorf("the first is %+v", first)
	}
	if second.Labels["slo"] != "payment-availability" || second.Labels["service"] != "payment-service" || len(second.Alerts) != 3 {
		t.Errorf("the second is %+v", second)
	}
	if list := decoded[models.AlertGroups](t, h, "/api/v2/alerts/groups?muted=false"); len(list) != 1 || len(list[0].Alerts) != 3 {
		t.Errorf("without muted: %+v", list)
	}
	wantIn(t, h.withAlerts(t).ask(t, http.MethodGet, "/api/v2/alerts/groups", "").Body.String(), "[]")
}

func postable(change func(m map[string]any)) string {
	m := map[string]any{
		"matchers": []any{map[string]any{"name": "service", "value": "pay.*", "isRegex": true}},
		"startsAt": start, "endsAt": start.Add(time.Hour), "createdBy": "Wei", "comment": "upgrade",
	}
	if change != nil {
		change(m)
	}
	b, _ := json.Marshal(m)
	return string(b)
}

func (h house) postSilence(t *testing.T, body string) (code int, answer string) {
	t.Helper()
	w := h.ask(t, http.MethodPost, "/api/v2/silences", body, "Content-Type", "application/json; charset=utf-8", "Authorization", "Bearer "+sharedToken)
	return w.Code, w.Body.String()
}

func TestSilencesOfV2(t *testing.T) {
	h := house{}.withAlerts(t)
	code, answer := h.postSilence(t, postable(nil))
	if code != http.StatusOK {
		t.Fatalf("answered %d %s", code, answer)
	}
	var made struct{ SilenceID string }
	if err := json.Unmarshal([]byte(answer), &made); err != nil || made.SilenceID == "" {
		t.Fatalf("%s: %v", answer, err)
	}
	got := decoded[models.GettableSilence](t, h, "/api/v2/silence/"+made.SilenceID)
	if m := got.Matchers[0]; *m.Name != "service" || *m.Value != "pay.*" || !*m.IsRegex || !*m.IsEqual || *got.Status.State != "active" || *got.CreatedBy != "Wei" {
		t.Errorf("got %+v", got)
	}
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v2/silence/"+made.SilenceID, ""), http.StatusUnauthorized)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v2/silence/"+made.SilenceID, "", "Authorization", "Bearer "+linsToken), http.StatusOK)
	wantCode(t, h.ask(t, http.MethodDelete, "/api/v2/silence/none", "", "Authorization", "Bearer "+linsToken), http.StatusNotFound)
	wantCode(t, h.ask(t, http.MethodGet, "/api/v2/silence/none", ""), http.StatusNotFound)
	if list := decoded[models.GettableSilences](t, h, "/api/v2/silences?expired=false"); len(list) != 0 {
		t.Errorf("%d are not over", len(list))
	}
	if list := decoded[models.GettableSilences](t, h, `/api/v2/silences?filter=service%3D~"pay.*"`); len(list) != 1 || *list[0].Status.State != "expired" {
		t.Errorf("got %+v", list)
	}
	if acted, want := strings.Join(h.Silences.(*memory).acted, ", "), "save by Wei, expire by Lin Yue"; acted != want {
		t.Errorf("acted %s, want %s", acted, want)
	}
}

func TestSilencesThatAreRefused(t *testing.T) {
	h := house{}.withAlerts(t)
	matcher := func(name, value string, regex any) func(map[string]any) {
		return func(m map[string]any) {
			m["matchers"] = []any{map[string]any{"name": name, "value": value, "isRegex": regex}}
		}
	}
	for name, body := range map[string]string{
		"no JSON":              "silence",
		"a list":               "[]",
		"no matchers":          postable(func(m map[string]any) { delete(m, "matchers") }),
		"empty matchers":       postable(func(m map[string]any) { m["matchers"] = []any{} }),
		"null matcher":         postable(func(m map[string]any) { m["matchers"] = []any{nil} }),
		"no isRegex":           postable(matcher("a", "b", nil)),
		"matches everything":   postable(matcher("a", ".*", true)),
		"broken expression":    postable(matcher("a", "(", true)),
		"empty name":           postable(matcher("", "b", false)),
		"NUL":                  postable(matcher("a", "b\x00", false)),
		"end before start":     postable(func(m map[string]any) { m["endsAt"] = start.Add(-time.Hour) }),
		"end is past":          postable(func(m map[string]any) { m["startsAt"], m["endsAt"] = start.Add(-2*time.Hour), start }),
		"no start":             postable(func(m map[string]any) { delete(m, "startsAt") }),
		"a number for comment": postable(func(m map[string]any) { m["comment"] = 7 }),
		"endless matchers": postable(func(m map[string]any) {
			m["matchers"] = slices.Repeat([]any{map[string]any{"name": "a", "value": "b", "isRegex": false}}, 65)
		}),
		"deep": strings.Repeat("[", 20),
	} {
		if code, answer := h.postSilence(t, body); code != http.StatusBadRequest || len(answer) > 3000 {
			t.Errorf("%s: answered %d %s", name, code, answer)
		}
	}
	if code, _ := h.postSilence(t, postable(func(m map[string]any) { m["id"] = "7" })); code != http.StatusNotFound {
		t.Errorf("an id that there is not: %d", code)
	}
	if code, _ := h.postSilence(t, strings.Repeat(" ", maxSilenceBody+1)); code != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", code)
	}
	h.SetTokens(&Tokens{})
	if code, _ := h.postSilence(t, postable(nil)); code != http.StatusForbidden {
		t.Errorf("without any token configured: %d", code)
	}
	if n := len(h.Silences.(*memory).silences); n > 0 {
		t.Errorf("%d silences are kept", n)
	}
}

func TestSilencesAreSorted(t *testing.T) {
	made := func(id string, from, until time.Duration) silence.Silence {
		return silence.Silence{ID: id, StartsAt: start.Add(from), EndsAt: start.Add(until)}
	}
	all := []silence.Silence{
		made("over long ago", -5*time.Hour, -4*time.Hour), made("next", time.Hour, 9*time.Hour), made("ends later", -time.Hour, 2*time.Hour),
		made("after next", 2*time.Hour, 3*time.Hour), made("just over", -5*time.Hour, -time.Hour), made("ends next", -time.Hour, time.Hour),
	}
	sortSilences(all, start)
	var order []string
	for _, s := range all {
		order = append(order, s.ID)
	}
	if got, want := strings.Join(order, ", "), "ends next, ends later, next, after next, just over, over long ago"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestRecurringSilencesAreSaidToBe(t *testing.T) {
	s := silence.Silence{
		ID: "x", StartsAt: start, EndsAt: start.Add(time.Hour), Labels: map[string]string{"a": "b"},
		Recurrence: &silence.Recurrence{Cron: "0 22 * * *", Duration: time.Hour, Timezone: "Asia/Shanghai"},
	}
	got := silenceV2(s, start).Annotations
	if got["a"] != "b" || got["midwatch_recurrence"] != "0 22 * * * for 1h0m0s Asia/Shanghai" || len(s.Labels) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestStatusAndReceivers(t *testing.T) {
	h := house{}.withAlerts(t)
	s := decoded[models.AlertmanagerStatus](t, h, "/api/v2/status")
	if *s.VersionInfo.Revision != "midwatch 1.2.3" || *s.Cluster.Status != "disabled" || !strings.Contains(*s.Config.Original, `receiver: "payments"`) || !time.Time(*s.Uptime).Equal(start) {
		t.Errorf("got %+v", s)
	}
	wantIn(t, *s.Config.Original, `- name: "nobody\n: x"`) // no line of its own
	modules, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	wantIn(t, string(modules), "github.com/prometheus/alertmanager v"+*s.VersionInfo.Version+"\n")
	list := decoded[[]models.Receiver](t, h, "/api/v2/receivers")
	if len(list) != 2 || *list[0].Name != "payments" {
		t.Errorf("got %+v", list)
	}
	if list := decoded[[]models.Receiver](t, h, "/api/v2/receivers?receiver_matchers="+url.QueryEscape(`owner="me"`)); len(list) != 0 {
		t.Errorf("got %+v", list)
	}
}

func FuzzSilenceV2(f *testing.F) {
	f.Add([]byte(postable(nil)))
	f.Add([]byte(`{"matchers": [{}], "startsAt": "", "endsAt": null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := parseSilenceV2(body, "lin", start)
		if err != nil {
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(silenceV2(s, start)); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
	})
}
