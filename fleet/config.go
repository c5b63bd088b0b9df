package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"

	"github.com/midwatch-slo/midwatch/alert"
)

// Defaults of a Config.
const (
	DefaultRetention    = 35 * 24 * time.Hour
	DefaultMaxBytes     = int64(8 << 30)
	DefaultMissingAfter = 5 * time.Minute
)

// Missing says why clusters did not answer, by their names. The causes are for
// people to read.
type Missing map[string]string

// Lack is what an answer is without.
type Lack struct {
	Missing  Missing // clusters that did not answer
	Doubtful Missing // clusters that did, and of whose data some may be missing
}

// all returns the clusters of both kinds.
func (l Lack) all() Missing {
	out := Missing{}
	maps.Copy(out, l.Doubtful)
	maps.Copy(out, l.Missing)
	return out
}

// add adds what another answer is without.
func (l *Lack) add(more Lack) {
	both := Lack{Missing: Missing{}, Doubtful: Missing{}}
	for _, one := range []Lack{*l, more} {
		maps.Copy(both.Missing, one.Missing)
		maps.Copy(both.Doubtful, one.Doubtful)
	}
	*l = both
}

// Clusters answers queries over the series of all clusters, each series with
// the external labels of its cluster. A cluster that does not answer is no
// error: it is named in the Lack, all of them when none answers.
type Clusters interface {
	// Instant returns the value of each series of an instant vector.
	Instant(ctx context.Context, query string, at time.Time) (promql.Vector, Lack, error)
	// Range returns the values of an instant vector at each step from start to
	// end, both included.
	Range(ctx context.Context, query string, start, end time.Time, step time.Duration) (promql.Matrix, Lack, error)
}

// Member is a cluster of the fleet.
type Member struct {
	Name   string
	Labels map[string]string // external labels
}

// Config says what the rules are evaluated over, and who hears of alerts.
type Config struct {
	Dir      string          // of the TSDB; made when there is none
	Clusters Clusters        // required
	Members  func() []Member // the clusters that there are now; required
	// Deliver takes alerts in and returns when they are on disk. What it
	// refuses is delivered again. Required.
	Deliver func(ctx context.Context, alerts []alert.Alert) error
	// Standing returns the alerts that fire, as far as those know who were
	// delivered them; nil when that is not to be known.
	Standing func(ctx context.Context) ([]alert.Alert, error)
	// Leads tells whether this one of several replicas delivers alerts and
	// writes to remote storages; nil when it is the only one.
	Leads func(ctx context.Context) bool

	Retention    time.Duration // of recorded series; default 35 days
	MaxBytes     int64         // of blocks on disk, the oldest go first; default 8 GiB
	MissingAfter time.Duration // how long a cluster may be missing before an alert says so; default 5 min
	ExternalURL  string        // of links in alerts
	RemoteWrite  []*config.RemoteWriteConfig

	Logger     *slog.Logger          // required
	Registerer prometheus.Registerer // required, and of this fleet alone
}

func (c *Config) defaults() error {
	switch {
	case c.Dir == "":
		return errors.New("fleet: no data folder")
	case c.Clusters == nil || c.Members == nil || c.Deliver == nil:
		return errors.New("fleet: nobody to ask, or nobody to tell")
	case c.Logger == nil || c.Registerer == nil:
		return errors.New("fleet: no logger or no registerer")
	case c.Retention < 0 || c.MaxBytes < 0 || c.MissingAfter < 0:
		return fmt.Errorf("fleet: a limit is negative: retention %s, %d bytes, missing after %s", c.Retention, c.MaxBytes, c.MissingAfter)
	}
	if c.Standing == nil {
		c.Standing = func(context.Context) ([]alert.Alert, error) { return nil, nil }
	}
	if c.Leads == nil {
		c.Leads = func(context.Context) bool { return true }
	}
	if c.Retention == 0 {
		c.Retention = DefaultRetention
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = DefaultMaxBytes
	}
	if c.MissingAfter == 0 {
		c.MissingAfter = DefaultMissingAfter
	}
	return nil
}
