package app

import (
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// clusters tells which clusters answer.
type clusters struct{ app *App }

var _ web.Clusters = clusters{}

// Clusters returns what is known of each cluster.
func (c clusters) Clusters() []wire.Cluster {
	list := c.app.current.Load().federation.Status()
	out := make([]wire.Cluster, len(list))
	for i, s := range list {
		out[i] = wire.Cluster{Name: s.Name, Health: health(s.Known, s.Up), Since: s.Since, Cause: s.Cause, Labels: s.Labels}
		for _, r := range s.Replicas {
			out[i].Replicas = append(out[i].Replicas, wire.ClusterServer{
				URL: r.URL, Health: health(r.Known, r.Up), Since: r.Since, Cause: r.Problem, Asked: r.Asked,
				Backend: r.Backend, Version: r.Version, Evaluates: r.Pushes, RemoteRead: r.RemoteRead,
				Labels: r.ExternalLabels, Differs: r.Differences,
			})
		}
	}
	return out
}

func health(known, up bool) string {
	switch {
	case !known:
		return wire.HealthUnknown
	case up:
		return wire.HealthUp
	}
	return wire.HealthDown
}
