package story

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/demo/shop"
	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// api asks the demo's servers, as people's tools would.
type api struct {
	Places
	client *http.Client
}

// Places are the URLs of what the story watches.
type Places struct {
	Midwatch   string
	Prometheus map[string]string // by cluster
	Payment    string            // payment-service of the cluster that fails
	WeCom      string            // the stand-in
	Inbox      string
	Loki       string
}

func (a *api) do(ctx context.Context, method, url string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask %s: %s: %s", url, resp.Status, bytes.TrimSpace(body[:min(len(body), 300)]))
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("ask %s: %w", url, err)
	}
	return nil
}

// data asks for what is inside the envelope of Prometheus' and Midwatch's
// answers.
func (a *api) data(ctx context.Context, url string, out any) ([]string, error) {
	var e struct {
		Data     json.RawMessage `json:"data"`
		Warnings []string        `json:"warnings"`
	}
	if err := a.do(ctx, http.MethodGet, url, &e); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(e.Data, out); err != nil {
		return e.Warnings, fmt.Errorf("ask %s: %w", url, err)
	}
	return e.Warnings, nil
}

// query evaluates PromQL on a server that speaks Prometheus' API; warnings
// are an error.
func (a *api) query(ctx context.Context, server, expr string) (model.Vector, error) {
	var out struct {
		Result model.Vector `json:"result"`
	}
	warnings, err := a.data(ctx, server+"/api/v1/query?query="+url.QueryEscape(expr), &out)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("%s: %s: %v", server, expr, warnings)
	}
	return out.Result, err
}

// promAlert is an alert as Prometheus lists it.
type promAlert struct {
	Labels   map[string]string `json:"labels"`
	State    string            `json:"state"`
	ActiveAt time.Time         `json:"activeAt"`
}

// alerts lists the alerts of a Prometheus, but for the one that always fires.
func (a *api) alerts(ctx context.Context, server string) ([]promAlert, error) {
	var out struct {
		Alerts []promAlert `json:"alerts"`
	}
	_, err := a.data(ctx, server+"/api/v1/alerts", &out)
	return slices.DeleteFunc(out.Alerts, func(p promAlert) bool { return p.Labels["alertname"] == "Watchdog" }), err
}

func (a *api) incidents(ctx context.Context) (out []alert.Incident, err error) {
	_, err = a.data(ctx, a.Midwatch+"/api/v1/incidents?all=true", &out)
	return out, err
}

func (a *api) incident(ctx context.Context, id int64) (out wire.Story, err error) {
	_, err = a.data(ctx, a.Midwatch+"/api/v1/incidents/"+strconv.FormatInt(id, 10), &out)
	return out, err
}

func (a *api) pool(ctx context.Context, method, action string) (out shop.Outage, err error) {
	return out, a.do(ctx, method, a.Payment+"/admin/pool"+action, &out)
}

// messages returns what arrived at the providers, oldest first.
func (a *api) messages(ctx context.Context) ([]message, error) {
	var texts struct{ Messages []wecom.Message }
	if err := a.do(ctx, http.MethodGet, a.WeCom+"/messages", &texts); err != nil {
		return nil, err
	}
	var mails struct{ Messages []inbox.Message }
	if err := a.do(ctx, http.MethodGet, a.Inbox+"/messages", &mails); err != nil {
		return nil, err
	}
	var all []message
	for _, m := range texts.Messages {
		all = append(all, message{Channel: byWeCom, To: m.To, At: m.Arrived, Text: m.Text})
	}
	for _, m := range mails.Messages {
		all = append(all, message{Channel: byEmail, To: strings.Join(m.To, ", "), At: m.Arrived, Text: "Subject: " + m.Subject + "\n\n" + m.Text})
	}
	slices.SortStableFunc(all, func(a, b message) int { return a.At.Compare(b.At) })
	return all, nil
}
