package federation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/federation/plan"
)

// ClusterStatus is what is known of one cluster.
type ClusterStatus struct {
	Name     string
	Up       bool      // at least one replica answers
	Known    bool      // whether Up has been found out yet
	Since    time.Time // of the last change of Up; zero before it is known
	Cause    string    // why it does not answer; "" when Up
	Labels   map[string]string
	Replicas []ReplicaStatus // in the order of the URLs
	// Doubt says why answers may lack data of the last day though the cluster is
	// Up: one of its replicas answers alone, and what it is known to lack. Answers
	// over such times warn of it. "" when there is none.
	Doubt      string
	DoubtSince time.Time // zero when there is none
}

// Problems returns what is wrong with the cluster, one line each: replicas
// that do not answer, labels that differ.
func (s ClusterStatus) Problems() []string {
	var out []string
	for _, r := range s.Replicas {
		if r.Problem != "" {
			out = append(out, fmt.Sprintf("cluster %q, %s: %s", s.Name, r.URL, r.Problem))
		}
		for _, d := range r.Differences {
			out = append(out, fmt.Sprintf("cluster %q, %s: %s", s.Name, r.URL, d))
		}
	}
	return out
}

// ReplicaStatus is what is known of one server.
type ReplicaStatus struct {
	URL     string // without credentials
	Up      bool   // it answers
	Known   bool   // whether Up has been found out yet
	Since   time.Time
	Problem string // why it does not answer; "" when Up
	Asked   bool   // queries are sent to it; false while it does not answer probes
	Backend string // what it is, such as "Prometheus" or "Thanos"; "" when that is unknown
	Version string // "" when it does not tell
	// RemoteRead tells that raw samples come by remote read: the only way that
	// keeps native histograms.
	RemoteRead bool
	// Pushes is what is evaluated there: "everything", "selectors" or "nothing".
	Pushes string
	// ExternalLabels are the server's own; nil when it does not tell.
	ExternalLabels map[string]string
	// Differences says how ExternalLabels, and those that series have themselves,
	// differ from the configured ones, a sentence each. Answers are right all the
	// same: the configured ones count.
	Differences []string
	// Lacking is what it is known to lack of what other replicas have.
	Lacking Lacking
}

// Status returns what is known of every cluster, and asks none. Without Watch
// that is what queries have found out.
func (f *Federation) Status() []ClusterStatus {
	out := make([]ClusterStatus, len(f.clusters))
	for i, c := range f.clusters {
		out[i] = c.status()
	}
	return out
}

func (c *cluster) status() ClusterStatus {
	now := c.health.get()
	s := ClusterStatus{
		Name: c.name, Labels: maps.Clone(c.external), Replicas: make([]ReplicaStatus, len(c.replicas)),
		Up: now.health == healthUp, Known: now.health != healthUnknown, Since: now.since, Cause: now.cause,
	}
	at := time.Now()
	for i, r := range c.replicas {
		s.Replicas[i] = c.replicaStatus(r)
		s.Replicas[i].Lacking = c.holes.lackingOf(i, day(at))
	}
	if doubt := c.review(at); s.Up {
		s.Doubt, s.DoubtSince = doubt.text, doubt.since
	}
	return s
}

func (c *cluster) replicaStatus(r *replica) ReplicaStatus {
	now := r.state.get()
	b, told := r.is.last()
	s := ReplicaStatus{
		URL: r.address(), Up: now.health == healthUp, Known: now.health != healthUnknown, Since: now.since, Problem: now.cause,
		Asked: r.breaker.open() == nil, Backend: b.kind.String(), Version: b.version, RemoteRead: !r.readless(b),
		Pushes: "nothing",
	}
	if told {
		s.Pushes = map[plan.Pushes]string{plan.PushAll: "everything", plan.PushSelectors: "selectors", plan.PushNothing: "nothing"}[r.pushes(b)]
	}
	if own, told := r.own.last(); told && s.RemoteRead { // else they are not in answers
		s.ExternalLabels, s.Differences = own, c.differences(own)
	}
	s.Differences = append(s.Differences, c.uncleanliness(r)...)
	return s
}

// Check asks every server of every cluster, all at once, whether it answers,
// which version it is and which external labels it has. It takes no longer
// than the timeout of a cluster.
func (f *Federation) Check(ctx context.Context) []ClusterStatus {
	out := make([]ClusterStatus, len(f.clusters))
	var running sync.WaitGroup
	for i, c := range f.clusters {
		running.Go(func() { out[i] = c.check(ctx) })
	}
	running.Wait()
	return out
}

func (c *cluster) check(ctx context.Context) ClusterStatus {
	ctx, cancel := context.WithTimeout(probing(ctx), c.timeout)
	defer cancel()
	errs := make([]error, len(c.replicas))
	var running sync.WaitGroup
	for i, r := range c.replicas {
		running.Go(func() {
			errs[i] = errors.Join(r.learn(ctx), r.probe(ctx))
		})
	}
	running.Wait()
	s := c.status()
	s.Up, s.Known = false, true
	for i, err := range errs {
		r := &s.Replicas[i]
		r.Up, r.Known, r.Problem = err == nil, true, ""
		if err != nil {
			r.Problem, r.Differences = cause(err, c.timeout), nil
		}
		s.Up = s.Up || r.Up
	}
	return s
}

// address returns the URL without credentials.
func (r *replica) address() string {
	base := *r.base
	base.User = nil
	return base.String()
}

// differences compares a server's external labels, nil when it does not tell
// them, with the configured ones.
func (c *cluster) differences(own map[string]string) []string {
	if own == nil {
		return []string{"it does not tell its external labels, so they cannot be compared, and any that are not configured stay in answers"}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(c.external)) {
		switch value, ok := own[name]; {
		case !ok:
			out = append(out, fmt.Sprintf("external label %s is configured as %q, but the server has none", name, c.external[name]))
		case value != c.external[name]:
			out = append(out, fmt.Sprintf("external label %s is configured as %q, but the server's is %q", name, c.external[name], value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if !c.known(name) {
			out = append(out, fmt.Sprintf("the server has an external label %s (%q) that is not configured: add it to labels, or to replica_labels if it tells replicas apart", name, own[name]))
		}
	}
	return out
}
