package federation_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

func TestCheck(t *testing.T) {
	db := teststorage.New(t)
	fine := serve(t, standIn{own: map[string]string{"cluster": "one", "replica": "a"}}.handler(db))
	silent := serve(t, standIn{hidden: true}.handler(db))
	broken := serve(t, http.NotFoundHandler())
	hanging := serve(t, http.HandlerFunc(hang))
	fed := newFederation(t, federation.Config{Timeout: clusterTimeout, Clusters: []federation.Cluster{
		{Name: "one", URLs: []string{strings.Replace(fine, "://", "://user:hunter2@", 1), broken}, ReplicaLabels: []string{"replica"}},
		{Name: "two", URLs: []string{hanging}},
		{Name: "three", URLs: []string{silent}},
	}})
	want := []federation.ClusterStatus{
		{Name: "one", Up: true, Known: true, Labels: map[string]string{"cluster": "one"}, Replicas: []federation.ReplicaStatus{
			{URL: fine, Up: true, Known: true, Asked: true, Backend: "Prometheus", Version: "3.15.0", RemoteRead: true, Pushes: "everything", ExternalLabels: map[string]string{"cluster": "one", "replica": "a"}},
			{URL: broken, Known: true, Asked: true, RemoteRead: true, Pushes: "nothing", Problem: "answered 404 Not Found"},
		}},
		{Name: "two", Known: true, Labels: map[string]string{"cluster": "two"}, Replicas: []federation.ReplicaStatus{
			{URL: hanging, Known: true, Asked: true, RemoteRead: true, Pushes: "nothing", Problem: "no answer within 400ms"},
		}},
		{Name: "three", Up: true, Known: true, Labels: map[string]string{"cluster": "three"}, Replicas: []federation.ReplicaStatus{
			{URL: silent, Up: true, Known: true, Asked: true, Backend: "Prometheus", Version: "3.15.0", RemoteRead: true, Pushes: "everything", Differences: []string{"it does not tell its external labels, so they cannot be compared, and any that are not configured stay in answers"}},
		}},
	}
	begin := time.Now()
	got := fed.Check(t.Context())
	if took := time.Since(begin); took > 5*clusterTimeout {
		t.Errorf("it took %s, want about %s", took, clusterTimeout)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreFields(federation.ClusterStatus{}, "Since")); d != "" {
		t.Error(d)
	}
	if p := got[1].Problems(); len(p) != 1 || p[0] != `cluster "two", `+hanging+`: no answer within 400ms` {
		t.Errorf("got problems %q", p)
	}
}
