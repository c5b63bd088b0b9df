package federation

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// Defaults of a Config.
const (
	DefaultTimeout       = 10 * time.Second
	DefaultQueryTimeout  = 2 * time.Minute  // as Prometheus' --query.timeout
	DefaultMaxSamples    = 50_000_000       // as Prometheus' --query.max-samples
	DefaultMaxRequests   = 20               // as Prometheus' --query.max-concurrency
	DefaultMaxQueries    = 20               // as Prometheus' --query.max-concurrency
	DefaultLookbackDelta = 5 * time.Minute  // as Prometheus' --query.lookback-delta
	DefaultMaxBytes      = int64(512 << 20) // some 250 million float samples, compressed as they arrive
)

// Cluster is one Prometheus, or one Prometheus run as several HA replicas.
type Cluster struct {
	Name string `yaml:"name"`
	// URLs are the base URLs of its HA replicas, tried in order.
	URLs []string `yaml:"urls"`
	// Labels are its external labels; empty means {cluster: <name>}. They win
	// over labels of these names that a series has itself.
	Labels map[string]string `yaml:"labels"`
	// ReplicaLabels are dropped from every series.
	ReplicaLabels []string `yaml:"replica_labels"`
	// Timeout is how long it has for one part of a query; default Config's.
	Timeout model.Duration `yaml:"timeout"`
	// MaxRequests is how many requests each of its servers is sent at once;
	// others wait. Default 20, as many queries as a Prometheus runs at once.
	MaxRequests int `yaml:"max_requests"`
	// Compression is "auto", "gzip" or "none"; the default auto asks servers to
	// compress that are more than 5 ms away.
	Compression string `yaml:"compression"`
	// SettledAfter is after how long samples neither come nor go any more, as
	// far as answers of the past are kept; 0: its servers are asked.
	SettledAfter model.Duration `yaml:"settled_after"`
	// HTTP says how all of its servers are reached.
	HTTP `yaml:",inline"`
}

// Config says which clusters there are and what bounds a query has.
type Config struct {
	Clusters      []Cluster
	Local         []Local               // series that are held here
	Timeout       time.Duration         // for one cluster to answer one selector; default 10 s
	QueryTimeout  time.Duration         // for a whole query; default 2 min
	MaxSamples    int                   // that one query may hold at once; default 50 million
	MaxBytes      int64                 // that all clusters together may send for one query; default 512 MiB
	MaxQueries    int                   // that run at once; others wait; default 20
	CacheBytes    int64                 // that answers of a past which does not change may take; 0 keeps none
	LookbackDelta time.Duration         // default 5 min
	Rules         Rules                 // of Midwatch itself; nil: it evaluates none
	Logger        *slog.Logger          // required
	Registerer    prometheus.Registerer // nil registers nothing
}

func (c *Config) defaults() error {
	if c.Logger == nil {
		return errors.New("federation: no logger")
	}
	if len(c.Clusters) == 0 {
		return errors.New("federation: no clusters")
	}
	if err := Validate(c.Clusters); err != nil {
		return err
	}
	for name, d := range map[string]time.Duration{"timeout": c.Timeout, "query timeout": c.QueryTimeout, "lookback delta": c.LookbackDelta} {
		if d < 0 {
			return fmt.Errorf("federation: %s %s is negative", name, d)
		}
	}
	if c.MaxSamples < 0 || c.MaxBytes < 0 || c.MaxQueries < 0 || c.CacheBytes < 0 {
		return errors.New("federation: a limit is negative")
	}
	c.Timeout = orDefault(c.Timeout, DefaultTimeout)
	c.QueryTimeout = orDefault(c.QueryTimeout, DefaultQueryTimeout)
	c.LookbackDelta = orDefault(c.LookbackDelta, DefaultLookbackDelta)
	c.MaxSamples = orDefault(c.MaxSamples, DefaultMaxSamples)
	c.MaxQueries = orDefault(c.MaxQueries, DefaultMaxQueries)
	c.MaxBytes = orDefault(c.MaxBytes, DefaultMaxBytes)
	return nil
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// ExternalLabels returns the labels that every series of the cluster has:
// Labels, or {cluster: <name>} when there are none.
func (c Cluster) ExternalLabels() map[string]string {
	if len(c.Labels) == 0 {
		return map[string]string{"cluster": c.Name}
	}
	return maps.Clone(c.Labels)
}

// Validate returns everything that is wrong with a list of clusters as
// diag.Problems, whose fields begin with "clusters.<index>", or nil. No
// problem repeats credentials of a URL.
func Validate(clusters []Cluster) error {
	var ps diag.Problems
	names, sets := map[string]int{}, map[string]int{}
	for i, c := range clusters {
		field := fmt.Sprintf("clusters.%d", i)
		add := func(sub, message, hint string) {
			ps = append(ps, diag.Problem{Field: field + "." + sub, Message: message, Hint: hint})
		}
		c.validateName(add)
		if first, dup := names[c.Name]; dup {
			add("name", fmt.Sprintf("cluster %q is given twice", c.Name), fmt.Sprintf("the first is clusters.%d", first))
			continue
		}
		names[c.Name] = i
		c.validateURLs(add)
		c.validateLabels(add)
		c.validateReach(add)
		set := labelSetKey(c.ExternalLabels())
		if first, dup := sets[set]; dup {
			add("labels", fmt.Sprintf("clusters %q and %q have the same external labels %s", clusters[first].Name, c.Name, set),
				"labels tell clusters apart; replicas of one cluster go into its urls")
		}
		sets[set] = i
	}
	return ps.Err()
}

func (c Cluster) validateName(add func(sub, message, hint string)) {
	switch {
	case c.Name == "":
		add("name", "a cluster needs a name", "")
	case !utf8.ValidString(c.Name):
		add("name", "not UTF-8", "")
	}
}

func (c Cluster) validateURLs(add func(sub, message, hint string)) {
	if len(c.URLs) == 0 {
		add("urls", fmt.Sprintf("cluster %q needs at least one URL", c.Name), "such as http://prometheus:9090")
	}
	seen := map[string]bool{}
	for i, raw := range c.URLs {
		sub := fmt.Sprintf("urls.%d", i)
		u, err := parseURL(raw)
		switch {
		case err != nil:
			add(sub, err.Error(), "want http://host:port or https://host:port, with a path if the Prometheus has one")
			continue
		case strings.HasSuffix(u.Path, "/api/v1") || strings.Contains(u.Path, "/api/v1/"):
			add(sub, "/api/v1 is put behind the URL for each request", "want what comes before it, such as http://host:port")
		case seen[u.String()]:
			add(sub, "this URL is given twice", "")
		}
		seen[u.String()] = true
	}
}

func (c Cluster) validateLabels(add func(sub, message, hint string)) {
	for _, name := range slices.Sorted(maps.Keys(c.Labels)) {
		value := c.Labels[name]
		switch {
		case !validLabelName(name):
			add("labels", fmt.Sprintf("%q is not a label name", name), "")
		case value == "":
			add("labels."+name, "an external label needs a value", "leave the label out")
		case !utf8.ValidString(value):
			add("labels."+name, "not UTF-8", "")
		}
	}
	external := c.ExternalLabels()
	for i, name := range c.ReplicaLabels {
		sub := fmt.Sprintf("replica_labels.%d", i)
		if !validLabelName(name) {
			add(sub, fmt.Sprintf("%q is not a label name", name), "")
		}
		if _, ok := external[name]; ok {
			add(sub, fmt.Sprintf("label %q is an external label too", name), "keep it in labels or in replica_labels")
		}
	}
}

// validateReach finds what is wrong with how its servers are reached.
func (c Cluster) validateReach(add func(sub, message, hint string)) {
	if c.Timeout < 0 {
		add("timeout", "it is negative", "")
	}
	if c.SettledAfter < 0 {
		add("settled_after", "it is negative", "")
	}
	if c.MaxRequests < 0 {
		add("max_requests", "it is negative", "")
	}
	switch compression(c.Compression) {
	case "", autoCompression, gzipCompression, noCompression:
	default:
		add("compression", fmt.Sprintf("%q is no compression", c.Compression), "auto, gzip or none")
	}
	if _, err := c.clientConfig(); err != nil {
		message := strings.ReplaceAll(err.Error(), "\n", "; ")
		add(c.keyOf(message), message, "as in Prometheus' own configuration")
	}
	if !c.identified() {
		return
	}
	for i, raw := range c.URLs {
		if u, err := parseURL(raw); err == nil && u.User != nil {
			add(fmt.Sprintf("urls.%d", i), "there are credentials in the URL, and others beside it", "keep one of them")
		}
	}
}

func validLabelName(name string) bool {
	return name != model.MetricNameLabel && model.UTF8Validation.IsValidLabelName(name)
}

// parseURL returns the base URL of a Prometheus. Its errors leave out the URL,
// which may carry a password.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, errors.New("not a URL")
	case u.Scheme == "":
		return nil, errors.New("neither http:// nor https:// is in front")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is neither http nor https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("no host")
	case u.Port() != "" && !validPort(u.Port()):
		return nil, fmt.Errorf("port %s is not one of 1 to 65535", u.Port())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("a query or a fragment has no place here")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0
}

func labelSetKey(set map[string]string) string {
	parts := make([]string, 0, len(set))
	for _, name := range slices.Sorted(maps.Keys(set)) {
		parts = append(parts, fmt.Sprintf("%s=%q", name, set[name]))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
