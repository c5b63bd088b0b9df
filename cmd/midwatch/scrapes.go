package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/bounded"
	"github.com/midwatch-slo/midwatch/slo"
)

// asked is the Prometheus that is asked how often it does things.
type asked struct {
	url, httpConfig string
}

const (
	askTimeout  = 30 * time.Second // of one question
	maxAskBytes = 256 << 20        // of one answer: some 100,000 targets
)

// prometheusClient asks one Prometheus.
type prometheusClient struct {
	base *url.URL
	http *http.Client
}

func (a asked) client() (*prometheusClient, error) {
	u, err := url.Parse(a.url)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usageError{fmt.Errorf("--prometheus %q is no http or https URL", withoutUser(a.url))}
	}
	if u.RawQuery != "" { // which errors would show, and may hold a secret
		return nil, usageError{errors.New("--prometheus is a URL with a query, which is not sent: --http.config.file says how to reach it")}
	}
	settings := config.DefaultHTTPClientConfig
	if a.httpConfig != "" {
		read, _, err := config.LoadHTTPConfigFile(a.httpConfig)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", a.httpConfig, err)
		}
		settings = *read
	}
	client, err := config.NewClientFromConfig(settings, "midwatch")
	if err != nil {
		return nil, fmt.Errorf("ask prometheus: %w", err)
	}
	client.Transport = bounded.Transport{RoundTripper: client.Transport, Most: maxAskBytes}
	return &prometheusClient{base: u, http: client}, nil
}

// withoutUser returns a text that should be a URL without what may be a user
// and a password in it.
func withoutUser(text string) string { return text[strings.LastIndexByte(text, '@')+1:] }

// get decodes the data of an answer into out.
func (p *prometheusClient) get(ctx context.Context, path, query string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	u := p.base.JoinPath(path)
	u.RawQuery = query
	fail := func(err error) error { return fmt.Errorf("ask %s: %w", u.Redacted(), err) }
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return fail(err)
	}
	resp, err := p.http.Do(req)
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err // the URL is named already
	}
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fail(fmt.Errorf("it answers %s", resp.Status))
	}
	answer := struct {
		Status string `json:"status"`
		Data   any    `json:"data"`
	}{Data: out}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fail(fmt.Errorf("its answer is not that of a Prometheus: %w", err))
	}
	if answer.Status != "success" {
		return fail(fmt.Errorf("its answer has the status %q", answer.Status))
	}
	return nil
}

// target is what Prometheus says of one.
type target struct {
	Labels         map[string]string `json:"labels"`
	ScrapePool     string            `json:"scrapePool"`
	ScrapeInterval string            `json:"scrapeInterval"`
}

// scrapeInterval returns the largest interval of the targets that may feed the
// SLOs, or of all where none may, and the scrape pool that has it.
func (p *prometheusClient) scrapeInterval(ctx context.Context, slos []slo.SLO) (time.Duration, string, error) {
	var found struct {
		ActiveTargets []target `json:"activeTargets"`
	}
	if err := p.get(ctx, "/api/v1/targets", "state=active", &found); err != nil {
		return 0, "", err
	}
	all, feeding := longest{}, longest{}
	selectors := selectorsOf(slos)
	for _, t := range found.ActiveTargets {
		every, err := model.ParseDuration(t.ScrapeInterval)
		if err != nil {
			return 0, "", fmt.Errorf("ask %s for its targets: one of %q has the scrape interval %q: %w", p.base.Redacted(), t.ScrapePool, t.ScrapeInterval, err)
		}
		all.take(t, time.Duration(every))
		if mayFeed(t, selectors) {
			feeding.take(t, time.Duration(every))
		}
	}
	switch {
	case all.every == 0:
		return 0, "", fmt.Errorf("ask %s for its targets: it has none; say --scrape-interval", p.base.Redacted())
	case feeding.every == 0:
		return all.every, fmt.Sprintf("%q, the longest of all, since nothing there looks like what the SLOs count", all.pool), nil
	default:
		return feeding.every, fmt.Sprintf("%q", feeding.pool), nil
	}
}

// longest is the longest interval, and who has it.
type longest struct {
	every time.Duration
	pool  string
}

func (l *longest) take(t target, every time.Duration) {
	if every > l.every {
		l.every, l.pool = every, t.ScrapePool
	}
}

// mayFeed says whether a series of a target could be in one of the selectors:
// labels that the target does not have come from what is scraped, and may be
// anything.
func mayFeed(t target, selectors [][]*labels.Matcher) bool {
	for _, ms := range selectors {
		fits := true
		for _, m := range ms {
			value, known := t.Labels[m.Name]
			fits = fits && (!known || m.Matches(value))
		}
		if fits {
			return true
		}
	}
	return false
}

// selectorsOf returns what the SLOs read, without the names of metrics.
func selectorsOf(slos []slo.SLO) (out [][]*labels.Matcher) {
	seen := map[string]bool{}
	for _, s := range slos {
		for _, text := range expressions(s.SLI) {
			// What does not parse without its window is no help here.
			e, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(text, "$window", "5m"))
			if err != nil {
				continue
			}
			for _, ms := range parser.ExtractSelectors(e) {
				ms = withoutName(ms)
				if key := fmt.Sprint(ms); !seen[key] {
					seen[key] = true
					out = append(out, ms)
				}
			}
		}
	}
	return out
}

func withoutName(ms []*labels.Matcher) (out []*labels.Matcher) {
	for _, m := range ms {
		if m.Name != model.MetricNameLabel {
			out = append(out, m)
		}
	}
	return out
}

// expressions returns the PromQL of an SLI.
func expressions(s slo.SLI) (texts []string) {
	if e := s.Events; e != nil {
		texts = append(texts, e.Errors, e.Good, e.Total)
	}
	if l := s.Latency; l != nil {
		texts = append(texts, l.Histogram)
	}
	if g := s.Gauge; g != nil {
		texts = append(texts, g.Expr)
	}
	if p := s.PromQL; p != nil {
		texts = append(texts, p.Errors, p.Good, p.Total)
	}
	if r := s.Ratio; r != nil {
		texts = append(texts, r.Errors, r.Good, r.Total)
	}
	return texts
}

// evaluationInterval returns how often rules are evaluated that say nothing of
// it, as the configuration has it.
func (p *prometheusClient) evaluationInterval(ctx context.Context) (time.Duration, error) {
	var found struct {
		YAML string `json:"yaml"`
	}
	if err := p.get(ctx, "/api/v1/status/config", "", &found); err != nil {
		return 0, err
	}
	var c struct {
		Global struct {
			EvaluationInterval model.Duration `yaml:"evaluation_interval"`
		} `yaml:"global"`
	}
	if err := yaml.Unmarshal([]byte(found.YAML), &c); err != nil {
		return 0, fmt.Errorf("ask %s for its configuration: %w", p.base.Redacted(), err)
	}
	if c.Global.EvaluationInterval == 0 {
		return time.Minute, nil // Prometheus' own default, which it does not write
	}
	return time.Duration(c.Global.EvaluationInterval), nil
}
