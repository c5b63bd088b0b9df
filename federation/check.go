package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

const (
	maxBuildInfoBytes = 64 << 10
	maxVersionLength  = 64
)

// ClusterStatus is what Check finds out of one cluster.
type ClusterStatus struct {
	Name     string
	Up       bool      // at least one replica answers remote read
	Since    time.Time // of the last change of Up as queries saw it; zero before the first query
	Labels   map[string]string
	Replicas []ReplicaStatus // in the order of the URLs
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

// ReplicaStatus is what Check finds out of one server.
type ReplicaStatus struct {
	URL     string // without credentials
	Up      bool   // it answers remote read
	Problem string // why it does not; "" when Up
	Version string // of Prometheus; "" when it does not tell
	// ExternalLabels are the server's own; nil when it does not tell.
	ExternalLabels map[string]string
	// Differences says how ExternalLabels differ from the configured ones, a
	// sentence each. Answers are right all the same: the configured ones count.
	Differences []string
}

// Check asks every server of every cluster, all at once, whether it answers
// remote read, which version it is and which external labels it has. It takes
// no longer than the timeout of a cluster.
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
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	s := ClusterStatus{Name: c.name, Labels: maps.Clone(c.external), Replicas: make([]ReplicaStatus, len(c.replicas))}
	var running sync.WaitGroup
	for i, r := range c.replicas {
		running.Go(func() { s.Replicas[i] = c.checkReplica(ctx, r) })
	}
	running.Wait()
	for _, r := range s.Replicas {
		s.Up = s.Up || r.Up
	}
	_, s.Since = c.health.state()
	return s
}

func (c *cluster) checkReplica(ctx context.Context, r *replica) ReplicaStatus {
	base := *r.base
	base.User = nil
	s := ReplicaStatus{URL: base.String()}
	if err := r.probe(ctx); err != nil {
		s.Problem = cause(err, c.timeout)
		return s
	}
	s.Up = true
	s.Version, _ = r.version(ctx) // one that does not tell is as good
	own, err := r.askIdentity(ctx)
	if err != nil || own == nil {
		s.Differences = []string{"it does not tell its external labels, so they cannot be compared, and any that are not configured stay in answers"}
		return s
	}
	s.ExternalLabels = own
	s.Differences = c.differences(own)
	return s
}

// probe reads a series that does not exist.
func (r *replica) probe(ctx context.Context) error {
	now := time.Now().UnixMilli()
	sel := selection{mint: now, maxt: now, matchers: []*labels.Matcher{
		labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, "midwatch_federation_probe"),
	}}
	p, err := newReading(sel, nil, nil)
	if err != nil {
		return err
	}
	resp, err := r.post(ctx, p.request)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = decode(resp, sel, len(p.request.Queries), &budget{limit: maxBuildInfoBytes})
	return err
}

// version returns the version that the server says it is.
func (r *replica) version(ctx context.Context) (string, error) {
	resp, err := r.get(ctx, "status/buildinfo")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuildInfoBytes))
	if err != nil {
		return "", fmt.Errorf("read build information: %w", err)
	}
	return parseVersion(body)
}

func parseVersion(body []byte) (string, error) {
	var answer struct {
		Data struct {
			Version string `json:"version"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return "", fmt.Errorf("read build information: %w", err)
	}
	v := answer.Data.Version
	if len(v) > maxVersionLength || strings.ContainsFunc(v, func(r rune) bool { return r < '!' || r > '~' }) {
		return "", errors.New("read build information: the version is not valid")
	}
	return v, nil
}

// differences compares a server's external labels with the configured ones.
func (c *cluster) differences(own map[string]string) []string {
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
