package federation_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/federation"
)

// storeJSON is a store as Thanos lists it.
func storeJSON(lastError string, window [2]int64, sets ...string) string {
	return fmt.Sprintf(`{"name":"10.0.0.1:10901","lastCheck":"2026-11-20T00:00:00Z","lastError":%s,"labelSets":[%s],"minTime":%d,"maxTime":%d}`,
		lastError, strings.Join(sets, ","), window[0], window[1])
}

// A Thanos leaves stores that it does not reach out of its answers without a
// word. It is asked after each answer, and what it left out is named.
func TestThanosWithoutAStoreIsNamed(t *testing.T) {
	const (
		good    = "null"
		refused = `"rpc error: code = Unavailable: connection refused at http://user:password@10.0.0.1"`
		beijing = `{"cluster":"beijing"}`
		first   = `{"cluster":"hangzhou","replica":"0"}`
		second  = `{"cluster":"hangzhou","replica":"1"}`
		warns   = `data of cluster "one" may be missing from this answer: `
		oneOf3  = warns + "it does not reach all of its stores, which have data of 1 of its 3 sets of external labels"
	)
	always := [2]int64{0, 1 << 62}
	past := [2]int64{0, dataStart.UnixMilli() - 1}
	var listed atomic.Value
	list := func(status int, sidecars ...string) {
		body := `{"status":"success","data":{"sidecar":[` + strings.Join(sidecars, ",") + `]}}`
		listed.Store(func(w http.ResponseWriter) { w.WriteHeader(status); _, _ = io.WriteString(w, body) })
	}
	thanos := standIn{version: "0.42.4"}.over(t, lasting(floats(9)))
	server := serve(t, withoutRead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/stores" {
			listed.Load().(func(http.ResponseWriter))(w)
			return
		}
		thanos.ServeHTTP(w, r)
	})))
	for _, tt := range []struct {
		name     string
		status   int
		before   []string // what is listed first
		now      []string
		replicas []string
		want     string
		earlier  bool // it lacks something of another time
	}{
		{name: "all reached", now: []string{storeJSON(good, always, beijing), storeJSON(good, always, first)}},
		{name: "one not reached", now: []string{storeJSON(refused, always, beijing), storeJSON(good, always, first, second)}, want: oneOf3},
		{name: "one forgotten", before: []string{storeJSON(good, always, beijing), storeJSON(good, always, first, second)}, now: []string{storeJSON(good, always, first, second)}, want: oneOf3},
		{name: "one elsewhere", before: []string{storeJSON(good, always, beijing, first)}, now: []string{storeJSON(good, always, first), storeJSON(good, always, beijing)}},
		{name: "none left", before: []string{storeJSON(good, always, beijing)}, want: warns + "it does not reach all of its stores, which have data of 1 of its 1 sets of external labels"},
		{name: "not of this time", now: []string{storeJSON(refused, past, beijing), storeJSON(good, always, first)}, earlier: true},
		{name: "another replica", now: []string{storeJSON(refused, always, first), storeJSON(good, always, second)}, replicas: []string{"replica"}},
		{name: "a replica of the same store", now: []string{storeJSON(refused, always, first), storeJSON(good, always, first)}, replicas: []string{"replica"}, want: warns + "it does not reach all of its stores, which have data of 1 of its 1 sets of external labels"},
		{name: "it does not tell", status: http.StatusInternalServerError, want: warns + "it does not tell whether it reaches all of its stores"},
		{name: "it has no list", status: http.StatusNotFound},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{server}, Labels: map[string]string{"fleet": "main"}, ReplicaLabels: tt.replicas}}})
			api := httptest.NewServer(fed.Handler())
			t.Cleanup(api.Close)
			list(http.StatusOK, tt.before...)
			askWindow(t, api.URL, `node_load1`, window{start: at(time.Hour), end: at(time.Hour)})
			list(max(tt.status, http.StatusOK), tt.now...)
			for _, q := range []string{`sum(node_load1)`, `rate(http_requests_total[5m])`} { // pushed, and raw
				got := askWindow(t, api.URL, q, window{start: at(time.Hour), end: at(time.Hour)})
				if all := strings.Join(got.Warnings, "; "); all != tt.want || got.Status != "success" {
					t.Errorf("%s: got %s %q %s\nwant %q", q, got.Status, got.Warnings, got.Error, tt.want)
				}
			}
			if got := ask(t, http.MethodGet, api.URL, "/api/v1/labels", url.Values{}); strings.Contains(got.body, "may be missing") != (tt.want != "" || tt.earlier) {
				t.Errorf("labels: got %.400s", got.body)
			}
		})
	}
}

// Probes find it out too, and the status tells.
func TestThanosWithoutAStoreIsDoubtful(t *testing.T) {
	var failing atomic.Bool
	thanos := standIn{version: "0.42.4"}.over(t, nil)
	server := serve(t, withoutRead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v1/stores" {
			thanos.ServeHTTP(w, r)
			return
		}
		lastError := "null"
		if failing.Load() {
			lastError = `"refused"`
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"sidecar":[`+storeJSON(lastError, [2]int64{0, 1 << 62}, `{"a":"b"}`)+`]}}`)
	})))
	fed := watched(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{server}}}})
	until(t, fed, "all stores", func(s federation.ClusterStatus) bool { return s.Up && s.Doubt == "" })
	failing.Store(true)
	s := until(t, fed, "a doubt", func(s federation.ClusterStatus) bool { return s.Doubt != "" })
	if !strings.Contains(s.Doubt, "1 of its 1 sets") || s.DoubtSince.IsZero() {
		t.Errorf("got %+v", s)
	}
	failing.Store(false)
	until(t, fed, "all stores again", func(s federation.ClusterStatus) bool { return s.Doubt == "" })
}

// What a Thanos answered while it lacked a store is not kept: nothing would
// tell later that something is missing from it.
func TestAnswersWithoutAStoreAreNotKept(t *testing.T) {
	whole := standIn{version: "0.42.4"}.over(t, lasting(floats(9)))
	part := standIn{version: "0.42.4"}.over(t, nil)
	var away atomic.Bool
	server := serve(t, withoutRead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failing := "null"
		h := whole
		if away.Load() {
			failing, h = `"refused"`, part
		}
		if r.URL.Path == "/api/v1/stores" {
			_, _ = io.WriteString(w, `{"status":"success","data":{"sidecar":[`+storeJSON(failing, [2]int64{0, 1 << 62}, `{"a":"b"}`)+`]}}`)
			return
		}
		h.ServeHTTP(w, r)
	})))
	fed := newFederation(t, federation.Config{CacheBytes: 1 << 20, Clusters: []federation.Cluster{{Name: "one", URLs: []string{server}, SettledAfter: model.Duration(time.Minute)}}})
	api := httptest.NewServer(fed.Handler())
	t.Cleanup(api.Close)
	when := window{start: at(time.Hour), end: at(90 * time.Minute), step: time.Minute}
	askWindow(t, api.URL, `up`, when) // it comes to be known what the server is
	for _, missing := range []bool{true, false, true} {
		away.Store(missing)
		got := askWindow(t, api.URL, `sum(node_load1)`, when)
		full := strings.Contains(string(got.Data.Result), "values")
		if warned := len(got.Warnings) > 0; warned != missing || !missing && !full {
			t.Errorf("while a store is away: %v: got %q, %.100s", missing, got.Warnings, got.Data.Result)
		}
	}
}

// A server that is read by queries may warn that its answer is partial.
func TestWarningsOfRawSamples(t *testing.T) {
	h := standIn{}.over(t, lasting(floats(8)))
	server := serve(t, withoutRead(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.FormValue("query"), "ms]") {
			h.ServeHTTP(w, r)
			return
		}
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]},"warnings":["one of mine is away"]}`)
	})))
	fed := newFederation(t, federation.Config{Clusters: []federation.Cluster{{Name: "one", URLs: []string{server}}}})
	_, notes, err := fed.Instant(federation.Unplanned(t.Context()), `rate(http_requests_total[5m])`, at(time.Hour))
	if want := `data of cluster "one" may be missing from this answer: its own answer has warnings`; err != nil || len(notes) != 1 || notes[want] == nil {
		t.Errorf("got %v, %v", notes, err)
	}
}
