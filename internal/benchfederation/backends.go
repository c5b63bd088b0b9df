package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// errWrong is the end of a run in which an answer was another one.
var errWrong = errors.New("not what one Prometheus answers")

// backends puts the queries of queries.txt to Midwatch with servers of other
// kinds in the place of a cluster's Prometheus, and to one Prometheus that
// holds everything. It tells of each kind whether the answers are the same.
func backends(ctx context.Context, dir string, o options, to io.Writer) error {
	k := &kinds{
		world: &world{}, dir: dir, options: o, start: time.Now().Truncate(time.Hour).Add(-3 * time.Hour),
		client: &http.Client{Timeout: time.Minute}, wanted: map[string]said{},
	}
	defer k.stop()
	defer k.client.CloseIdleConnections()
	var err error
	if k.queries, err = listedQueries(k.start); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := k.startClusters(ctx); err != nil {
		return err
	}
	var wrong error
	for _, one := range k.all() {
		text, err := k.check(ctx, one)
		if errors.Is(err, errWrong) {
			wrong = errors.Join(wrong, err)
			text = ": not what one Prometheus answers"
		} else if err != nil {
			return fmt.Errorf("%s: %w", one.title, err)
		}
		fmt.Fprintf(to, "%s as a back end%s\n", one.title, text)
	}
	return wrong
}

// kind is a kind of server that may stand behind a cluster.
type kind struct {
	title   string
	missing string // why it cannot be tried
	// begin starts it and returns the configuration of all clusters.
	begin     func(ctx context.Context, dir string) (clusters string, err error)
	reference string // what answers as it should
	// after is what else is looked at.
	after func(ctx context.Context, midwatch string) (text string, err error)
}

// kinds tries kinds.
type kinds struct {
	*world
	dir     string
	options options
	start   time.Time
	queries []string
	client  *http.Client
	wanted  map[string]said // by reference, query and time

	plain  []*prom // clusters whose series all kinds keep alike
	others string  // the configuration of the clusters beside one that is tried
	fleet  string  // what holds what a Thanos over all plain clusters does
}

// check compares all answers of a kind, and tells how many.
func (k *kinds) check(ctx context.Context, one kind) (string, error) {
	if one.missing != "" {
		return ": not run: " + one.missing, nil
	}
	dir := filepath.Join(k.dir, strings.ReplaceAll(strings.ToLower(one.title), " ", "-"))
	clusters, err := one.begin(ctx, dir)
	if err != nil {
		return "", err
	}
	m, err := k.serve(ctx, filepath.Join(dir, "midwatch"), k.options.midwatch, clusters)
	if err != nil {
		return "", err
	}
	defer func() { _ = m.Kill() }()
	what, err := k.known(ctx, m.url)
	if err != nil {
		return "", err
	}
	asked, err := k.compareAll(ctx, one, m.url)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf(" (%s): %d queries, no difference", what, asked)
	if one.after != nil {
		more, err := one.after(ctx, m.url)
		if err != nil {
			return "", err
		}
		text += "; " + more
	}
	return text, nil
}

// compareAll puts every query at every time.
func (k *kinds) compareAll(ctx context.Context, one kind, midwatch string) (int, error) {
	asked, wrong := 0, []error(nil)
	for _, q := range k.queries {
		for _, when := range periods(k.start) {
			want, err := k.want(ctx, one.reference, q, when)
			if err != nil {
				return asked, err
			}
			got, err := say(ctx, k.client, midwatch, q, when)
			if err != nil {
				return asked, err
			}
			asked++
			if d := unlike(q, got, want); d != "" {
				wrong = append(wrong, fmt.Errorf("%s: %s from %s step %s: %w: %s", one.title, q, when.start, when.step, errWrong, d))
			}
		}
	}
	return asked, errors.Join(wrong[:min(len(wrong), 20)]...)
}

func (k *kinds) want(ctx context.Context, reference, query string, when period) (said, error) {
	key := fmt.Sprint(reference, query, when)
	if w, known := k.wanted[key]; known {
		return w, nil
	}
	w, err := say(ctx, k.client, reference, query, when)
	k.wanted[key] = w
	return w, err
}

// known waits until Midwatch knows every server of every cluster, and returns
// what the first is and evaluates.
func (k *kinds) known(ctx context.Context, midwatch string) (what string, err error) {
	err = k.until(ctx, func() (bool, error) {
		what, err = k.first(ctx, midwatch)
		return what != "", err
	})
	return what, err
}

// until waits until something is so.
func (k *kinds) until(ctx context.Context, is func() (bool, error)) error {
	const most = time.Minute
	end, tick := time.NewTimer(most), time.NewTicker(50*time.Millisecond)
	defer end.Stop()
	defer tick.Stop()
	for {
		if is, err := is(); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-end.C:
			return fmt.Errorf("the clusters do not come to be known within %s", most)
		case <-tick.C:
		}
	}
}

// first returns what the first server is, "" while one is not known.
func (k *kinds) first(ctx context.Context, midwatch string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, midwatch+"/api/v1/status/clusters", http.NoBody)
	if err != nil {
		return "", err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		Data struct {
			Clusters []struct {
				Health   string
				Replicas []struct{ Backend, Version, Evaluates string }
			}
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return "", err
	}
	all := answer.Data.Clusters
	for _, c := range all {
		if c.Health != "up" || len(c.Replicas) == 0 {
			return "", nil
		}
	}
	if len(all) == 0 {
		return "", errors.New("it tells of no clusters")
	}
	r := all[0].Replicas[0]
	return fmt.Sprintf("%s, evaluates %s", strings.TrimSpace(r.Backend+" "+r.Version), r.Evaluates), nil
}

// loses has a server behind a Thanos end, and asks until Thanos has noticed,
// and for some time after: each answer must be whole, or say that it may not
// be.
func (k *kinds) loses(ctx context.Context, midwatch, what string, end func() error) (string, error) {
	const query = `count by (cluster) (node_load1)`
	when := periods(k.start)[0]
	want, err := k.want(ctx, k.fleet, query, when)
	if err != nil {
		return "", err
	}
	if err := end(); err != nil {
		return "", err
	}
	const asked = 12 * time.Second // Thanos looks every 5 s after its stores
	told, tick := 0, time.NewTicker(100*time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(asked); time.Now().Before(end); {
		got, err := say(ctx, k.client, midwatch, query, when)
		if err != nil {
			return "", err
		}
		if got.Status != "success" || len(got.Warnings) > 0 {
			told++
		} else if d := unlike(query, got, want); d != "" {
			return "", fmt.Errorf("%s died: %w, and no warning: %s", what, errWrong, d)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-tick.C:
		}
	}
	if told == 0 {
		return "", fmt.Errorf("%s died: %w: nothing was said", what, errWrong)
	}
	return fmt.Sprintf("the death of %s was said in %d answers", what, told), nil
}

// startClusters starts what is not tried itself: the clusters beside it, those
// that Thanos is put on, and what holds everything.
func (k *kinds) startClusters(ctx context.Context) error {
	series := func(cluster string, seed uint64, plain bool) []kept { return listed(cluster, seed, k.start, plain) }
	hangzhou := series("hangzhou", 1, true)
	beijing, tencent := series("beijing", 2, false), series("tencent", 3, false)
	plainBeijing, plainTencent := series("beijing", 4, true), series("tencent", 5, true)
	all := slices.Concat(labelled(hangzhou, "cluster", "hangzhou"), labelled(beijing, "cluster", "beijing"), labelled(tencent, "cluster", "tencent"))
	fleet := slices.Concat(labelled(hangzhou, "cluster", "hangzhou"), labelled(plainBeijing, "cluster", "beijing"), labelled(plainTencent, "cluster", "tencent"))
	specs := []*prom{
		{name: "hangzhou", external: "cluster: hangzhou", series: hangzhou},
		{name: "beijing-plain", external: "cluster: beijing", series: plainBeijing},
		{name: "tencent-plain", external: "cluster: tencent", series: plainTencent},
		{name: "beijing", external: "cluster: beijing", series: beijing},
		{name: "tencent", external: "cluster: tx, prometheus: monitoring/k8s, prometheus_replica: k8s-0", series: tencent},
		{name: "reference", series: all},
		{name: "fleet", series: labelled(fleet, "fleet", "main")},
	}
	var group errgroup.Group
	for _, p := range specs {
		group.Go(func() error { return p.begin(ctx, k.dir) })
	}
	err := group.Wait()
	for _, p := range specs {
		if p.Prometheus != nil {
			k.running = append(k.running, p.Process)
		}
	}
	if err != nil {
		return err
	}
	k.plain, k.reference, k.fleet = specs[:3], specs[5].URL, specs[6].URL
	k.others = cluster("beijing", specs[3].URL, "") + cluster("tencent", specs[4].URL, "replica_labels: [prometheus_replica]")
	return nil
}

// cluster writes the configuration of a cluster.
func cluster(name, url, more string) string {
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf("  - {name: %s, urls: [%q]%s}\n", name, url, more)
}
