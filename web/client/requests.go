package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Escalate pages the next step of the incident's policy now; by is as for
// Acknowledge, here and below.
func (c *Client) Escalate(ctx context.Context, id int64, by string) (alert.Incident, error) {
	return c.act(ctx, "escalate", "escalate", id, wire.Act{By: by})
}

// Snooze pages nobody for the incident before an instant.
func (c *Client) Snooze(ctx context.Context, id int64, until time.Time, by string) (alert.Incident, error) {
	return c.act(ctx, "snooze", "snooze", id, wire.Act{Until: until, By: by})
}

// Reassign pages these users in the place of the policy's.
func (c *Client) Reassign(ctx context.Context, id int64, users []string, by string) (alert.Incident, error) {
	return c.act(ctx, "reassign", "reassign", id, wire.Act{Users: users, By: by})
}

// AddResponders pages these users besides the policy's.
func (c *Client) AddResponders(ctx context.Context, id int64, users []string, by string) (alert.Incident, error) {
	return c.act(ctx, "add responders to", "responders", id, wire.Act{Users: users, By: by})
}

// Note adds a line to the incident's story.
func (c *Client) Note(ctx context.Context, id int64, text, by string) (alert.Incident, error) {
	return c.act(ctx, "note on", "note", id, wire.Act{Text: text, By: by})
}

// Merge closes an incident, whose alerts move to another.
func (c *Client) Merge(ctx context.Context, from, into int64, by string) (alert.Incident, error) {
	return c.act(ctx, "merge", "merge", from, wire.Act{Into: into, By: by})
}

// Silences returns the silences, the active ones first.
func (c *Client) Silences(ctx context.Context) (out []wire.Silence, err error) {
	err = c.do(ctx, "list silences", http.MethodGet, "silences", nil, nil, &out)
	return out, err
}

// Silence returns one silence.
func (c *Client) Silence(ctx context.Context, id string) (out wire.Silence, err error) {
	err = c.do(ctx, "get silence "+id, http.MethodGet, "silences/"+url.PathEscape(id), nil, nil, &out)
	return out, err
}

// SaveSilence makes a silence, or changes that with its ID. No start is now.
func (c *Client) SaveSilence(ctx context.Context, s silence.Silence) (out wire.Silence, err error) {
	err = c.do(ctx, "save silence", http.MethodPost, "silences", nil, s, &out)
	return out, err
}

// ExpireSilence ends a silence.
func (c *Client) ExpireSilence(ctx context.Context, id string) error {
	var out struct{}
	return c.do(ctx, "expire silence "+id, http.MethodDelete, "silences/"+url.PathEscape(id), nil, nil, &out)
}

// Rotas returns all shifts of a span of time, by schedule.
func (c *Client) Rotas(ctx context.Context, from, to time.Time) (out []wire.Rota, err error) {
	query := url.Values{"from": {from.UTC().Format(time.RFC3339)}, "to": {to.UTC().Format(time.RFC3339)}}
	err = c.do(ctx, "ask who is on call", http.MethodGet, "oncall", query, nil, &out)
	return out, err
}

// Overrides returns the overrides that are not over.
func (c *Client) Overrides(ctx context.Context) (out []wire.Override, err error) {
	err = c.do(ctx, "list overrides", http.MethodGet, "overrides", nil, nil, &out)
	return out, err
}

// AddOverride puts somebody on call for a while. No beginning is now.
func (c *Client) AddOverride(ctx context.Context, o wire.Override) (out wire.Override, err error) {
	err = c.do(ctx, "add override", http.MethodPost, "overrides", nil, o, &out)
	return out, err
}

// EndOverride ends an override now.
func (c *Client) EndOverride(ctx context.Context, id int64) error {
	var out struct{}
	return c.do(ctx, fmt.Sprintf("end override %d", id), http.MethodDelete, fmt.Sprintf("overrides/%d", id), nil, nil, &out)
}

// Audit returns up to limit lines of who did what, newest first: those with
// an ID below before, or the newest when that is 0.
func (c *Client) Audit(ctx context.Context, before int64, limit int) (out []wire.Deed, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if before > 0 {
		query.Set("before", strconv.FormatInt(before, 10))
	}
	err = c.do(ctx, "list audit", http.MethodGet, "audit", query, nil, &out)
	return out, err
}

// Drills returns the drills and how they went, newest first.
func (c *Client) Drills(ctx context.Context) (out []wire.Drill, err error) {
	err = c.do(ctx, "list drills", http.MethodGet, "drills", nil, nil, &out)
	return out, err
}

// StartDrill starts a drill.
func (c *Client) StartDrill(ctx context.Context, what wire.DrillRequest) (out wire.Drill, err error) {
	err = c.do(ctx, "start drill", http.MethodPost, "drills", nil, what, &out)
	return out, err
}

// Delivery returns how pages go out, and which did not.
func (c *Client) Delivery(ctx context.Context) (out wire.Delivery, err error) {
	err = c.do(ctx, "ask how pages go out", http.MethodGet, "delivery", nil, nil, &out)
	return out, err
}

// DeadPages returns the pages that nobody got, newest first.
func (c *Client) DeadPages(ctx context.Context) (out []page.Record, err error) {
	err = c.do(ctx, "list dead pages", http.MethodGet, "deadpages", nil, nil, &out)
	return out, err
}

// RuleStatus returns how far the rules are in step with the SLOs.
func (c *Client) RuleStatus(ctx context.Context) (out wire.RuleStatus, err error) {
	err = c.do(ctx, "ask for the rules", http.MethodGet, "status/rules", nil, nil, &out)
	return out, err
}

// Heartbeats returns when each cluster's watchdog was last heard.
func (c *Client) Heartbeats(ctx context.Context) (out []wire.Heartbeat, err error) {
	err = c.do(ctx, "list heartbeats", http.MethodGet, "heartbeats", nil, nil, &out)
	return out, err
}
