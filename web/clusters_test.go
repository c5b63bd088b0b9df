package web

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// fleet is clusters that are what they are.
type fleet []wire.Cluster

func (f fleet) Clusters(context.Context) []wire.Cluster { return f }

func TestClusters(t *testing.T) {
	up := wire.ClusterServer{URL: "http://a:9090", Health: wire.HealthUp, Since: start, Asked: true, Backend: "Prometheus", Version: "3.15.0", Evaluates: "everything", RemoteRead: true}
	down := wire.ClusterServer{URL: "http://b:9090", Health: wire.HealthDown, Since: start.Add(-time.Hour), Cause: "connection <refused>", Evaluates: "nothing", Differs: []string{"it has others"}}
	fine := wire.Cluster{Name: "hangzhou", Health: wire.HealthUp, Since: start, Labels: map[string]string{"cluster": "hangzhou", "a": "b"}, Replicas: []wire.ClusterServer{up}}
	weak := wire.Cluster{Name: "beijing", Health: wire.HealthUp, Since: start, Replicas: []wire.ClusterServer{down, up}}
	away := wire.Cluster{Name: "edge", Health: wire.HealthDown, Since: start.Add(-time.Hour), Cause: "connection <refused>", Replicas: []wire.ClusterServer{down}}
	unknown := wire.Cluster{Name: "new", Health: wire.HealthUnknown, Replicas: []wire.ClusterServer{{URL: "http://c", Health: wire.HealthUnknown, Asked: true}}}
	alone := wire.Cluster{
		Name: "pair", Health: wire.HealthUp, Since: start, Doubt: "replica 1 answers alone, <and> lacks", DoubtSince: start.Add(-time.Minute),
		Replicas: []wire.ClusterServer{{
			URL: "http://a", Health: wire.HealthUp, Lacks: []wire.Gap{{From: start.Add(-time.Hour)}, {From: start.Add(-3 * time.Hour), To: start.Add(-2 * time.Hour)}}, LacksMore: 7,
			Misses: []string{`{instance="<x>"}`}, MissesMore: 12, MissesSince: start.Add(-time.Hour),
		}},
	}
	for _, tt := range []struct {
		clusters fleet
		want     []string
	}{
		{fleet{fine}, []string{"All clusters answer<", "1 cluster<", "{a=&#34;b&#34;, cluster=&#34;hangzhou&#34;}", "Prometheus 3.15.0", "everything"}},
		{fleet{fine, weak}, []string{"All clusters answer, 1 server of them not", "2 clusters, 1 server with other labels than configured", "it has others", "no remote read"}},
		{fleet{fine, alone}, []string{
			"Answers may lack data of pair", "1 server without targets that another replica has", "replica 1 answers alone, &lt;and&gt; lacks", "to now<",
			"and 7 more times", "{instance=&#34;&lt;x&gt;&#34;}", "and 12 more<",
		}},
		{fleet{fine, unknown}, []string{"Not all clusters are known yet"}},
		{fleet{away, weak, unknown}, []string{"edge missing from answers", "connection &lt;refused&gt;", "not asked until it answers probes"}},
	} {
		h := newHouse(t, func(c *Config) { c.Clusters = tt.clusters })
		w := h.ask(t, http.MethodGet, "/clusters", "")
		wantCode(t, w, http.StatusOK)
		wantIn(t, w.Body.String(), tt.want...)
	}
	h := newHouse(t, func(c *Config) { c.Clusters = fleet{away} })
	w := h.ask(t, http.MethodGet, "/api/v1/status/clusters", "")
	wantCode(t, w, http.StatusOK)
	wantIn(t, w.Body.String(), `{"status":"success","data":{"clusters":[{"name":"edge","health":"down","since":"`, `"asked":false`, `"evaluates":"nothing","remote_read":false`)
	h = newHouse(t, func(c *Config) { c.Clusters = fleet{alone} })
	wantIn(t, h.ask(t, http.MethodGet, "/api/v1/status/clusters", "").Body.String(), `"doubt":"replica 1`, `"doubt_since":"`, `"lacks":[{"from":"`, `"lacks_more":7`, `"misses":["{instance=`, `"misses_more":12`)
	for _, target := range []string{"/clusters", "/api/v1/status/clusters"} {
		wantCode(t, newHouse(t, nil).ask(t, http.MethodGet, target, ""), http.StatusNotFound)
	}
}
