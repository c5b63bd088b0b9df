package federation

import (
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzAnswersOfTheAPI gives whatever there is as a cluster's answer: ours is
// JSON, or names the cluster as missing, and never a panic.
func FuzzAnswersOfTheAPI(f *testing.F) {
	for _, seed := range []string{
		`{"status":"success","data":["a","b"]}`,
		`{"status":"success","data":[{"__name__":"up","cluster":"x","":"y","replica":"0"},{},null]}`,
		`{"status":"success","data":{"groups":[{"name":"g","file":"f","rules":[{"type":"alerting","name":"a","state":"firing","labels":{"a":"b"},"alerts":[null,{"labels":null,"state":"x","activeAt":"2026-01-01T00:00:00Z"}]},{"type":"recording"},{}]}]}}`,
		`{"status":"success","data":{"alerts":[null,{"labels":{"a":"b"},"state":"pending","value":"1"}]}}`,
		`{"status":"success","data":{"activeTargets":[null,{"labels":{},"scrapePool":"p"}],"droppedTargets":[null,{"discoveredLabels":{"a":"b"}}],"droppedTargetCounts":{"p":-1}}}`,
		`{"status":"success","data":{"m":[{"type":"counter","help":"h","unit":"u"}],"n":null}}`,
		`{"status":"success","data":[{"target":{"a":"b"},"metric":"m","type":"gauge","help":"h","unit":""}]}`,
		`{"status":"success","data":[{"seriesLabels":{"a":"b"},"exemplars":[{"labels":{"t":"1"},"value":"1e9","timestamp":1.5e300}]}]}`,
		`{"status":"success","data":{"headStats":{"numSeries":18446744073709551615},"seriesCountByMetricName":[{"name":"m","value":1}]}}`,
		`{"status":"success","data":{"activeAlertmanagers":[null,{"url":"http://u:p@h"},{"url":"%"}]}}`,
		`{"status":"success","warnings":["w","results truncated due to limit"],"data":null}`, `{"status":"error"}`, `null`, `[`, ``,
	} {
		f.Add(seed)
	}
	network := &unanimous{}
	fed := newFuzzed(f, network)
	bounds, err := ParseMatchers([]string{`a="b"`, `cluster="c"`})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		network.answer = answer
		for _, ctx := range []context.Context{t.Context(), WithMatchers(t.Context(), bounds...)} {
			for _, path := range []string{
				"labels?limit=1", "label/a/values", "label/cluster/values", "series?match[]=up&limit=2", "query_exemplars?query=up", "rules?group_limit=1", "alerts",
				"targets", "targets/metadata", "scrape_pools", "metadata?limit_per_metric=1", "alertmanagers", "status/tsdb",
			} {
				rec := httptest.NewRecorder()
				fed.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(ctx, http.MethodGet, "/api/v1/"+path, http.NoBody))
				if _, _, err := objectOf[any](newAnswerBody(rec.Body, &budget{limit: math.MaxInt64})); err != nil && rec.Code == http.StatusOK || rec.Code == http.StatusInternalServerError {
					t.Errorf("%s: got %d %s: %v", path, rec.Code, rec.Body, err)
				}
			}
		}
	})
}

// newFuzzed returns a federation of one cluster on such a network.
func newFuzzed(t testing.TB, network *unanimous) *Federation {
	t.Helper()
	fed, err := New(Config{
		Clusters: []Cluster{{Name: "c", URLs: []string{"http://one", "http://two"}, ReplicaLabels: []string{"replica"}}},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fed.Close)
	for _, r := range fed.clusters[0].replicas {
		r.client = &http.Client{Transport: network}
	}
	return fed
}

// unanimous is a network on which everything is answered alike.
type unanimous struct{ answer string }

// RoundTrip answers.
func (a *unanimous) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ContentLength: int64(len(a.answer)), Body: io.NopCloser(strings.NewReader(a.answer))}, nil
}
