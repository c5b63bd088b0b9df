package app

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/ruler"
)

// ruleTargets are the rules of a state, and where they are kept.
type ruleTargets struct {
	set     rules.Set
	every   time.Duration
	targets []ruleTarget
	compare []federation.Cluster
	wanted  wantedRules // of set, once somebody asks
}

// close lets go of idle connections.
func (r *ruleTargets) close() {
	if r == nil {
		return
	}
	for _, t := range r.targets {
		if at, ok := t.(rulerTarget); ok {
			at.client.Close()
		}
	}
}

// ruleTarget is a place that rules are kept at.
type ruleTarget interface {
	name() string
	// sync makes the place hold the rules, whole or not at all, and says what
	// it changed, "" for nothing.
	sync(ctx context.Context, k *ruleKeeper, set rules.Set) (did string, err error)
}

// fileTarget is a folder.
type fileTarget struct {
	dir     string
	output  rules.Output
	reloads []*url.URL // asked to load the files when they change
}

// rulerTarget is a namespace of a ruler.
type rulerTarget struct {
	client                 *ruler.Client
	url, tenant, namespace string
	parts                  []string
}

var (
	_ ruleTarget = fileTarget{}
	_ ruleTarget = rulerTarget{}
)

func (t fileTarget) name() string { return t.dir }

func (t rulerTarget) name() string {
	if t.tenant == "" {
		return fmt.Sprintf("%s namespace %s", t.url, t.namespace)
	}
	return fmt.Sprintf("%s tenant %s namespace %s", t.url, t.tenant, t.namespace)
}

func (t fileTarget) sync(ctx context.Context, k *ruleKeeper, set rules.Set) (did string, err error) {
	changes, err := set.Write(t.dir, t.output)
	if err != nil {
		return "", err
	}
	if !changes.None() {
		did = fmt.Sprintf("%d files written, %d removed", len(changes.Written), len(changes.Removed))
	}
	for _, u := range t.reloads {
		if err := k.reload(ctx, t.dir, u, !changes.None()); err != nil {
			return did, err
		}
	}
	return did, nil
}

// reloadTimeout is how long a Prometheus may take to load its rules.
const reloadTimeout = time.Minute

// reload asks for the files to be loaded if they changed, or if they did
// before and the request failed.
func (k *ruleKeeper) reload(ctx context.Context, dir string, u *url.URL, changed bool) error {
	key := dir + "\n" + u.String()
	if changed {
		k.unloaded[key] = true
	}
	if !k.unloaded[key] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, reloadTimeout)
	defer cancel()
	fail := func(err error) error { return fmt.Errorf("reload %s: %w", u.Redacted(), err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), http.NoBody)
	if err != nil {
		return fail(err)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return fail(discreetly(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		reason, _ := io.ReadAll(io.LimitReader(resp.Body, 512)) // what came is told
		return fail(fmt.Errorf("it answers %s: %s", resp.Status, strings.Join(strings.Fields(string(reason)), " ")))
	}
	delete(k.unloaded, key)
	return nil
}

func (t rulerTarget) sync(ctx context.Context, _ *ruleKeeper, set rules.Set) (did string, err error) {
	changes, err := t.client.Sync(ctx, t.namespace, t.groups(set))
	if err != nil || len(changes.Set)+len(changes.Deleted) == 0 {
		return "", err
	}
	return fmt.Sprintf("%d groups set, %d deleted", len(changes.Set), len(changes.Deleted)), nil
}

// groups returns those that the ruler evaluates.
func (t rulerTarget) groups(set rules.Set) (out []rulefmt.RuleGroup) {
	for _, f := range set.Files {
		if slices.Contains(t.parts, partOf(f)) {
			out = append(out, f.Groups...)
		}
	}
	return out
}

// partOf says who evaluates a file.
func partOf(f rules.File) string {
	switch {
	case f.Fleet():
		return partFleet
	case f.Logs():
		return partLogs
	default:
		return partCluster
	}
}
