package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
)

// Heartbeat is a call to somebody else's dead man's switch: it comes as long
// as Midwatch can keep alerts and page people, so that its absence tells of
// Midwatch what a Watchdog tells of a cluster.
type Heartbeat struct {
	URL      secret.Secret  `yaml:"url"` // asked by GET; often holds a key
	URLFile  string         `yaml:"url_file"`
	Interval model.Duration `yaml:"interval"` // default 1m; at least 10s
}

// heartbeatTimeout is how long one call may take.
const heartbeatTimeout = 10 * time.Second

// pulse sends heartbeats.
type pulse struct {
	url      string
	interval time.Duration
	healthy  func(ctx context.Context) error
	client   *http.Client
	logger   *slog.Logger
}

// newPulse returns nil when no heartbeat is configured.
func newPulse(c *Heartbeat, healthy func(context.Context) error, log *slog.Logger) (*pulse, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // None is configured.
	}
	to, err := secret.Resolve("url", c.URL, c.URLFile)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(to.Reveal()); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("url: want an http or https URL")
	}
	every := time.Duration(c.Interval)
	if every == 0 {
		every = time.Minute
	}
	if every < 10*time.Second {
		return nil, fmt.Errorf("interval: %s is less than 10s", every)
	}
	return &pulse{
		url: to.Reveal(), interval: every, healthy: healthy, logger: log,
		client: &http.Client{Timeout: heartbeatTimeout, Transport: provider.Straight(&http.Transport{Proxy: http.ProxyFromEnvironment})},
	}, nil
}

// run beats until ctx ends.
func (p *pulse) run(ctx context.Context) {
	tick := time.NewTicker(p.interval)
	defer tick.Stop()
	defer p.client.CloseIdleConnections()
	for {
		if err := p.beat(ctx); err != nil && ctx.Err() == nil {
			p.logger.WarnContext(ctx, "no heartbeat", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// beat sends one heartbeat, unless Midwatch cannot do its work.
func (p *pulse) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, heartbeatTimeout)
	defer cancel()
	if err := p.healthy(ctx); err != nil {
		return fmt.Errorf("midwatch is not well: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return errors.New("its URL is not one") // the error would repeat it
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return discreetly(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 3 {
		return fmt.Errorf("the receiver answers %s, which is not followed: set url to where it leads", resp.Status)
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answers %s", resp.Status)
	}
	return nil
}

// discreetly returns an error of a request without the URL.
func discreetly(err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		return ue.Err
	}
	return err
}
