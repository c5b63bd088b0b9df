package federation

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/federation/plan"
)

// maxCounted bounds the labels that servers are asked for. In a fleet that
// tells its clusters apart by more, nothing is known of any.
const maxCounted = 16

// census says of labels whether series of a server have them; of one that is
// not in it nothing is known.
type census map[string]bool

// setCounted sets the labels that all clusters' servers are asked for: those
// that are external or replica labels of any.
func setCounted(clusters []*cluster) {
	all := map[string]bool{}
	for _, c := range clusters {
		for name := range c.external {
			all[name] = true
		}
		maps.Copy(all, c.dropped)
	}
	if len(all) > maxCounted {
		return
	}
	for _, c := range clusters {
		c.counted = slices.Sorted(maps.Keys(all))
	}
}

// watchLabels asks a server again and again which labels its series have,
// until ctx ends.
func (c *cluster) watchLabels(ctx context.Context, r *replica) {
	for ctx.Err() == nil {
		wait := c.health.pace.labels
		if r.breaker.open() == nil {
			if _, err := c.takeCensus(ctx, r); err != nil {
				wait = min(wait, c.health.pace.again)
			}
		}
		pause(ctx, wait, nil)
	}
}

func (c *cluster) takeCensus(ctx context.Context, r *replica) (census, error) {
	ctx, cancel := context.WithTimeout(probing(ctx), c.timeout)
	defer cancel()
	found, err := c.askCensus(ctx, r)
	if err == nil {
		r.census.set(found)
	}
	return found, err
}

// askCensus asks a server which of the counted labels its series have. Of one
// that evaluates nothing it is of no use.
func (c *cluster) askCensus(ctx context.Context, r *replica) (census, error) {
	b, err := r.backend(ctx)
	if err != nil {
		return nil, err
	}
	found := census{}
	if r.pushes(b) == plan.PushNothing {
		return found, nil
	}
	for _, name := range c.counted {
		has, known, err := r.askLabel(ctx, b, name, c.external[name])
		if err != nil {
			return nil, err
		}
		if known {
			found[name] = has
		}
	}
	return found, nil
}

// askLabel returns whether series of a server, which is b, have a label, and
// whether that is known. Servers other than Prometheus show external labels as
// if series had them.
func (r *replica) askLabel(ctx context.Context, b backend, name, external string) (has, known bool, err error) {
	if b.kind != prometheusKind && !model.LegacyValidation.IsValidLabelName(name) {
		return false, false, nil
	}
	resp, err := r.ask(ctx, "label/"+escaped(name)+"/values", url.Values{"limit": {"2"}})
	if err != nil {
		return false, false, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBuildInfoBytes))
	switch {
	case err != nil:
		return false, false, fmt.Errorf("read label values: %w", err)
	case resp.StatusCode != http.StatusOK:
		return false, false, nil
	}
	if b.kind == prometheusKind {
		external = ""
	}
	has, known = parseCensus(body, external)
	return has, known, nil
}

// parseCensus reads from the beginning of an answer to /label/<name>/values
// whether there is a value other than that of the external label. None is only
// known of an answer that is whole.
func parseCensus(body []byte, external string) (has, known bool) {
	var answer struct {
		Status   string   `json:"status"`
		Data     []string `json:"data"`
		Warnings []string `json:"warnings"`
	}
	err := json.NewDecoder(bytes.NewReader(body)).Decode(&answer)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && len(body) >= maxBuildInfoBytes: // more than were asked for
		return true, true
	case err != nil || answer.Status != "success" || answer.Data == nil:
		return false, false
	case slices.ContainsFunc(answer.Data, func(value string) bool { return value != external }):
		return true, true
	}
	whole := !slices.ContainsFunc(answer.Warnings, func(text string) bool { return !strings.Contains(text, "truncated due to limit") })
	return false, whole
}

// strays returns which labels of other clusters no series of the cluster has,
// and whether some have one that is set for it, as far as its servers told.
func (c *cluster) strays() (absent []string, unclean bool) {
	told := make([]census, 0, len(c.replicas))
	for _, r := range c.replicas {
		if found, known := r.census.last(); known {
			told = append(told, found)
		}
	}
	for _, name := range c.counted {
		if c.known(name) {
			unclean = unclean || slices.ContainsFunc(told, func(found census) bool { return found[name] })
			continue
		}
		if len(told) > 0 && !slices.ContainsFunc(told, func(found census) bool { return !found.lacks(name) }) {
			absent = append(absent, name)
		}
	}
	return absent, unclean
}

// lacks tells whether no series is known to have a label.
func (s census) lacks(name string) bool {
	has, known := s[name]
	return known && !has
}

// lacking tells whether no series of a server had any of some labels when it
// was last asked, which is not long ago.
func (c *cluster) lacking(ctx context.Context, r *replica, absent []string) (bool, error) {
	if len(absent) == 0 {
		return true, nil
	}
	found, err := r.census.get(ctx, func(ctx context.Context) (census, error) { return c.askCensus(ctx, r) })
	return !slices.ContainsFunc(absent, func(name string) bool { return !found.lacks(name) }), err
}

// uncleanliness says which labels that are set for the cluster series of a
// server have themselves, a sentence each.
func (c *cluster) uncleanliness(r *replica) []string {
	found, _ := r.census.last()
	var out []string
	for _, name := range c.counted {
		switch _, external := c.external[name]; {
		case !c.known(name) || !found[name]:
		case external:
			out = append(out, fmt.Sprintf("series have a label %s of their own, which the external label replaces: what reads them is not evaluated by the server", name))
		default:
			out = append(out, fmt.Sprintf("series have a label %s of their own, which is dropped as a replica label: what reads them is not evaluated by the server", name))
		}
	}
	return out
}
