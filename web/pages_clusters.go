package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// Clusters knows which clusters answer.
type Clusters interface {
	// Clusters returns what is known of each of which anything may be seen (see
	// Querying), without asking any.
	Clusters(ctx context.Context) []wire.Cluster
}

// getClusterStatus answers which clusters answer, and since when.
func (h *Handler) getClusterStatus(w http.ResponseWriter, r *http.Request) error {
	if h.Clusters == nil {
		return errNoClusters
	}
	ctx, err := h.querying.Load().admit(r, h.tokens.Load())
	if err != nil {
		return err
	}
	return writeData(w, wire.ClusterStatus{Clusters: h.Clusters.Clusters(ctx)})
}

var errNoClusters = notFound("the clusters are not served")

// clustersView is the content of the page of clusters.
type clustersView struct {
	State    state
	Clusters []memberRow
}

type memberRow struct {
	wire.Cluster
	Since   stamp
	Doubted stamp  // since when its answers may lack data
	Set     string // its labels
	Tone    tone
	Servers []serverRow
}

type serverRow struct {
	wire.ClusterServer
	Since stamp
	What  string // it is
	Tone  tone
	Gaps  []gapRow
	Miss  stamp // since when it misses targets
}

// gapRow is a time that a server lacks data of; To is empty when it goes on.
type gapRow struct{ From, To stamp }

// clustersPage shows which clusters answer, what each server is, and how its
// labels differ.
func (h *Handler) clustersPage(w http.ResponseWriter, r *http.Request) error {
	if h.Clusters == nil {
		return errNoClusters
	}
	var v clustersView
	for _, c := range h.Clusters.Clusters(r.Context()) {
		v.Clusters = append(v.Clusters, h.memberRow(c))
	}
	v.State = v.state()
	return h.show(w, http.StatusOK, "clusters", frame{Title: "Clusters", Refresh: 10, Content: v})
}

func (h *Handler) memberRow(c wire.Cluster) memberRow {
	now := h.Now()
	row := memberRow{Cluster: c, Since: h.stamp(c.Since, now), Doubted: h.stamp(c.DoubtSince, now), Set: labelText(c.Labels), Tone: healthTone(c.Health)}
	for _, s := range c.Replicas {
		server := h.serverRow(s, now)
		if c.Health == wire.HealthUp && server.Tone == bad {
			server.Tone = low // another one answers
		}
		row.Servers = append(row.Servers, server)
	}
	return row
}

func (h *Handler) serverRow(s wire.ClusterServer, now time.Time) serverRow {
	row := serverRow{
		ClusterServer: s, Since: h.stamp(s.Since, now), Tone: healthTone(s.Health), Miss: h.stamp(s.MissesSince, now),
		What: strings.TrimSpace(s.Backend + " " + s.Version),
	}
	for _, g := range s.Lacks {
		row.Gaps = append(row.Gaps, gapRow{h.stamp(g.From, now), h.stamp(g.To, now)})
	}
	return row
}

func healthTone(health string) tone {
	switch health {
	case wire.HealthUp:
		return calm
	case wire.HealthDown:
		return bad
	}
	return mute
}

func labelText(set map[string]string) string {
	parts := make([]string, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, set[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// state says in a line how the clusters stand.
func (v *clustersView) state() state {
	var down []string
	weak, unknown, differ, missing := 0, 0, 0, 0
	var doubtful []string
	for _, c := range v.Clusters {
		switch c.Health {
		case wire.HealthDown:
			down = append(down, c.Name)
		case wire.HealthUnknown:
			unknown++
		}
		if c.Doubt != "" {
			doubtful = append(doubtful, c.Name)
		}
		for _, s := range c.Servers {
			if s.Tone == low {
				weak++
			}
			if len(s.Differs) > 0 {
				differ++
			}
			if len(s.Misses) > 0 {
				missing++
			}
		}
	}
	detail := plural(len(v.Clusters), "cluster")
	if differ > 0 {
		detail += fmt.Sprintf(", %s with other labels than configured", plural(differ, "server"))
	}
	if missing > 0 {
		detail += fmt.Sprintf(", %s without targets that another replica has", plural(missing, "server"))
	}
	switch {
	case len(down) > 0:
		return state{Text: strings.Join(down, ", ") + " missing from answers", Detail: detail, Tone: bad}
	case unknown > 0:
		return state{Text: "Not all clusters are known yet", Detail: detail, Tone: low}
	case len(doubtful) > 0:
		return state{Text: "Answers may lack data of " + strings.Join(doubtful, ", "), Detail: detail, Tone: low}
	case weak > 0:
		return state{Text: "All clusters answer, " + plural(weak, "server") + " of them not", Detail: detail, Tone: low}
	}
	return state{Text: "All clusters answer", Detail: detail}
}
