package app

import (
	"context"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/web"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// clusters tells which clusters answer.
type clusters struct{ app *App }

var _ web.Clusters = clusters{}

// Clusters returns what is known of each cluster of which anything may be seen.
func (c clusters) Clusters(ctx context.Context) []wire.Cluster {
	fed := c.app.current.Load().federation
	out := []wire.Cluster{}
	for _, s := range fed.Status() {
		if !fed.Visible(ctx, s.Name) {
			continue
		}
		one := wire.Cluster{Name: s.Name, Health: health(s.Known, s.Up), Since: s.Since, Cause: s.Cause, Labels: s.Labels, Doubt: s.Doubt, DoubtSince: s.DoubtSince}
		for _, r := range s.Replicas {
			one.Replicas = append(one.Replicas, wire.ClusterServer{
				URL: r.URL, Health: health(r.Known, r.Up), Since: r.Since, Cause: r.Problem, Asked: r.Asked,
				Backend: r.Backend, Version: r.Version, Evaluates: r.Pushes, RemoteRead: r.RemoteRead,
				Labels: r.ExternalLabels, Differs: r.Differences, Lacks: gaps(r.Lacking.Gaps), LacksMore: r.Lacking.MoreGaps,
				Misses: r.Lacking.Targets, MissesMore: r.Lacking.MoreTargets, MissesSince: r.Lacking.TargetsSince,
			})
		}
		out = append(out, one)
	}
	return out
}

func gaps(of []federation.Gap) []wire.Gap {
	var out []wire.Gap
	for _, g := range of {
		out = append(out, wire.Gap{From: g.From, To: g.To})
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
