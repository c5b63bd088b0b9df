package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/hook"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	signing = "s3cret of the signature"
	token   = "t0ken-in-the-url"
	bearer  = "Bearer b3arer-of-the-header"
)

type rig struct {
	*Notifier
	receiver *hook.Server
	web      *httptest.Server
}

func newRig(t testing.TB, change func(*Config)) rig {
	t.Helper()
	receiver := hook.New(hook.Config{Secret: signing, Header: http.Header{"Authorization": {bearer}}})
	web := httptest.NewServer(receiver)
	transport, err := TLS{}.transport()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		web.Close()
	})
	c := Config{
		URL: secret.New(web.URL + "/hooks/" + token + "?key=" + token), Secret: secret.New(signing),
		Headers: map[string]secret.Secret{"authorization": secret.New(bearer)}, Transport: transport,
	}
	if change != nil {
		change(&c)
	}
	n, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return rig{n, receiver, web}
}

func TestContract(t *testing.T) {
	faults := map[notifytest.Trouble]hook.Fault{
		notifytest.Down: {Status: 502}, notifytest.Later: {Status: 429, RetryAfter: "7"},
		notifytest.Refused: {Status: 404, Body: "no such hook: " + token + " " + bearer + " " + signing},
		notifytest.Hang:    {Hang: true}, notifytest.Half: {Half: true},
	}
	notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
		r := newRig(t, func(c *Config) { c.Logger = logger })
		return notifytest.Provider{
			Notifier: r, Channel: "webhook", Address: "duty-phone", Anybody: true, Machine: true, Secrets: []string{signing, token, bearer, "b3arer"},
			Delivered: func() (got []notifytest.Delivery) {
				for _, c := range r.receiver.Calls() {
					got = append(got, notifytest.Delivery{To: c.Message.Midwatch.To.Address, Text: c.Message.Midwatch.Text})
				}
				return got
			},
			Trouble: func(f notifytest.Trouble) { r.receiver.Fail(faults[f]) },
			Close:   r.web.Close,
		}
	})
}

var at = time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC)

// burning is a page of an incident with an alert in each of n pods.
func burning(n int) page.Page {
	p := notifytest.Provider{Channel: "webhook", Address: "duty-phone"}.Page("12/opened/li.wei/webhook", false)
	p.Incident.Key, p.Incident.Alerts = "payment-service/payment-availability", nil
	for i := range n {
		p.Incident.Alerts = append(p.Incident.Alerts, alert.Alert{
			Labels: model.LabelSet{
				"alertname": "SLOErrorBudgetBurn", "service": "payment-service", "slo": "payment-availability",
				"cluster": "hangzhou", "pod": model.LabelValue(fmt.Sprintf("payment-%d", i)),
			},
			Annotations: model.LabelSet{"summary": "it burns <b>"},
			StartsAt:    at.Add(-time.Minute), EndsAt: at.Add(4 * time.Minute), State: alert.Firing,
			GeneratorURL: "http://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
		})
	}
	return p
}

func send(t *testing.T, r rig, p page.Page) hook.Call {
	t.Helper()
	if _, err := r.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	calls := r.receiver.Calls()
	return calls[len(calls)-1]
}

func TestStatusFollowsTheIncident(t *testing.T) {
	r := newRig(t, nil)
	p := burning(3)
	p.Incident.Alerts[1].State, p.Incident.Alerts[1].EndsAt = alert.Resolved, at
	p.Incident.Alerts[2].State = alert.Expired
	c := send(t, r, p)
	var got []string
	for _, a := range c.Message.Alerts {
		got = append(got, a.Status+" "+a.EndsAt.Format("15:04:05"))
	}
	// An alert that expired has not recovered; one that fires has no end.
	if want := "[firing 00:00:00 resolved 19:02:31 firing 00:00:00]"; fmt.Sprint(got) != want || c.Message.Status != "firing" {
		t.Errorf("%s: got %v, want %s", c.Message.Status, got, want)
	}
	p.Kind, p.Incident.Status, p.Incident.ResolvedAt = page.Resolved, alert.Closed, at.Add(time.Second)
	c = send(t, r, p)
	got = nil
	for _, a := range c.Message.Alerts {
		got = append(got, a.Status+" "+a.EndsAt.Format("15:04:05"))
	}
	if want := "[resolved 19:02:32 resolved 19:02:31 resolved 19:02:32]"; fmt.Sprint(got) != want || c.Message.Status != "resolved" {
		t.Errorf("%s: got %v, want %s", c.Message.Status, got, want)
	}
}

func TestMaxAlertsKeepsWhatFires(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxAlerts = 2 })
	p := burning(4)
	p.Incident.Alerts[0].State, p.Incident.AlertCount = alert.Resolved, 10
	c := send(t, r, p)
	if len(c.Message.Alerts) != 2 || c.Message.TruncatedAlerts != 8 || c.Message.Alerts[0].Labels["pod"] != "payment-1" {
		t.Errorf("%d alerts, %d left out: %+v", len(c.Message.Alerts), c.Message.TruncatedAlerts, c.Message.Alerts)
	}
}

func TestAnUpdateSendsTheWholeGroupAgain(t *testing.T) {
	r := newRig(t, nil)
	ref, err := r.Send(t.Context(), burning(1))
	if err != nil || ref != "incident/12" || !r.Edits() {
		t.Fatalf("ref %q, %v", ref, err)
	}
	p := burning(2)
	p.Kind, p.Key, p.Ref = page.Updated, "12/updated/2", ref
	if c := send(t, r, p); len(c.Message.Alerts) != 2 || c.Message.Midwatch.Kind != "updated" {
		t.Errorf("got %+v", c.Message)
	}
}

func TestEveryKindIsTaken(t *testing.T) {
	r := newRig(t, nil)
	for _, kind := range []page.Kind{page.Opened, page.Again, page.Raised, page.Escalated, page.Reopened, page.Updated, page.Resolved} {
		p := burning(2)
		p.Kind, p.Key = kind, string(kind)
		if c := send(t, r, p); c.Message.Midwatch.Kind != string(kind) || c.Message.GroupKey != "payment-service/payment-availability" {
			t.Errorf("%s: got %+v", kind, c.Message)
		}
	}
	report := page.Page{Key: "report/2026-47/li.wei", Kind: page.Report, At: at, Body: "Two incidents.", To: page.Contact{Channel: "webhook"}}
	if c := send(t, r, report); c.Message.Status != "resolved" || len(c.Message.Alerts) != 0 {
		t.Errorf("a report: got %+v", c.Message)
	}
	drill := burning(1)
	drill.Key, drill.Incident.Drill = "drill", true
	if c := send(t, r, drill); !c.Message.Midwatch.Incident.Drill || c.Message.CommonAnnotations["drill"] != "true" {
		t.Errorf("a drill: got %+v", c.Message)
	}
}

// bundle is a page about three incidents.
func bundle() page.Page {
	p := page.Page{Key: "bundle/1", Kind: page.Bundle, At: at, To: page.Contact{User: "li.wei", Channel: "webhook"}}
	for id := range int64(3) {
		inc := burning(1).Incident
		inc.ID = id + 1
		p.Others = append(p.Others, page.Entry{Kind: page.Opened, Incident: inc})
	}
	return p
}

func TestABundleIsACallAnIncident(t *testing.T) {
	r := newRig(t, nil)
	r.receiver.Fail(hook.Fault{}, hook.Fault{Status: 503})
	p := bundle()
	if _, err := r.Send(t.Context(), p); err == nil {
		t.Fatal("the second call failed")
	}
	send(t, r, p)
	var got []string
	for _, c := range r.receiver.Calls() {
		got = append(got, c.Key)
	}
	if want := "[bundle/1/1/opened bundle/1/2/opened bundle/1/3/opened]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestARefusedIncidentKeepsNoOtherBack(t *testing.T) {
	r := newRig(t, nil)
	r.receiver.Fail(hook.Fault{Status: 413, Body: "too large"}, hook.Fault{Status: 503})
	p := bundle()
	if se := failure(t, r, p); !se.Temporary {
		t.Errorf("got %v", se)
	}
	se := failure(t, r, p)
	if se.Temporary || se.Code != "413" || !strings.Contains(se.Error(), "incident 1: ") || len(r.receiver.Calls()) != 2 {
		t.Errorf("%d calls, %v", len(r.receiver.Calls()), se)
	}
}

func failure(t *testing.T, r rig, p page.Page) *page.SendError {
	t.Helper()
	_, err := r.Send(t.Context(), p)
	var se *page.SendError
	if !errors.As(err, &se) {
		t.Fatalf("want a page.SendError, got %v", err)
	}
	return se
}

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		fault     hook.Fault
		temporary bool
		after     time.Duration
		say       string
	}{
		{hook.Fault{Status: 400, Body: "no\x1b[31m such\n\nfield " + strings.Repeat("x", 5000)}, false, 0, "no[31m such field xxx"},
		{hook.Fault{Status: 404}, false, 0, "nothing more"},
		{hook.Fault{Status: 408}, true, 0, ""},
		{hook.Fault{Status: 425}, true, 0, ""},
		{hook.Fault{Status: 429, RetryAfter: "7"}, true, 7 * time.Second, ""},
		{hook.Fault{Status: 503, RetryAfter: "Sat, 21 Nov 2026 19:04:31 GMT"}, true, 2 * time.Minute, ""},
		{hook.Fault{Status: 503, RetryAfter: "999999999"}, true, time.Hour, ""},
		{hook.Fault{Status: 500, RetryAfter: "soon"}, true, 0, ""},
		{hook.Fault{Status: 302, Location: "http://127.0.0.1:1/elsewhere"}, false, 0, "redirect"},
	} {
		t.Run(fmt.Sprint(tt.fault.Status, tt.fault.RetryAfter), func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Now = func() time.Time { return at } })
			r.receiver.Fail(tt.fault)
			se := failure(t, r, burning(1))
			if se.Temporary != tt.temporary || se.RetryAfter != tt.after || se.Code != fmt.Sprint(tt.fault.Status) || !strings.Contains(se.Error(), tt.say) {
				t.Errorf("got %+v", se)
			}
			if len(se.Error()) > 300 {
				t.Errorf("%d bytes", len(se.Error()))
			}
		})
	}
}

func TestManyAtOnceKeepTheirConnections(t *testing.T) {
	r := newRig(t, nil)
	const senders, each = 64, 10
	began := time.Now()
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				p := burning(10)
				p.Key = fmt.Sprintf("%d/%d", i, j)
				if _, err := r.Send(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	t.Logf("%.0f calls a second", senders*each/time.Since(began).Seconds())
	if n := len(r.receiver.Calls()); n != senders*each {
		t.Errorf("%d calls", n)
	}
}

func TestKeysThatNoHeaderHolds(t *testing.T) {
	if got := headerKey("12/opened/li.wei/webhook"); got != "12/opened/li.wei/webhook" {
		t.Errorf("got %q", got)
	}
	for _, key := range []string{"12/opened/李伟/webhook", "a\r\nb: c", strings.Repeat("x", 300)} {
		if got := headerKey(key); len(got) != 64 {
			t.Errorf("%q: got %q", key, got)
		}
	}
}

func decoded(t *testing.T, body []byte) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
