package loki

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// Config says where Loki is and how its streams are labelled.
type Config struct {
	URL             string        `yaml:"url"`    // without path, or with that of a proxy
	Tenant          string        `yaml:"tenant"` // X-Scope-OrgID; "" sends none
	Username        string        `yaml:"username"`
	Password        secret.Secret `yaml:"password"`
	PasswordFile    string        `yaml:"password_file"`
	BearerToken     secret.Secret `yaml:"bearer_token"`
	BearerTokenFile string        `yaml:"bearer_token_file"` // read again for each query
	CAFile          string        `yaml:"ca_file"`           // PEM; added to the system's roots

	ClusterLabel string   `yaml:"cluster_label"` // default cluster
	ServiceLabel string   `yaml:"service_label"` // of an SLO without a selector; default app
	LevelLabel   string   `yaml:"level_label"`   // default level
	PodLabel     string   `yaml:"pod_label"`     // default pod; streams need not have it
	ErrorLevels  []string `yaml:"error_levels"`  // in any case; default error, err, fatal, critical, crit, alert, emergency, panic, severe

	Lead      time.Duration `yaml:"lead"`       // how long before the incident's start the window begins; default 10m
	MinWindow time.Duration `yaml:"min_window"` // default 5m
	MaxWindow time.Duration `yaml:"max_window"` // default 1h
	Limit     int           `yaml:"limit"`      // lines read for each window; default 5000, what a Loki allows by default
	Timeout   time.Duration `yaml:"timeout"`    // of one query; default 10s

	GrafanaURL        string `yaml:"grafana_url"`        // "" makes no links
	GrafanaDatasource string `yaml:"grafana_datasource"` // uid of the Loki data source; required with grafana_url

	Now func() time.Time `yaml:"-"` // default time.Now
}

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func (c *Config) defaults() error {
	setDefault(&c.ClusterLabel, "cluster")
	setDefault(&c.ServiceLabel, "app")
	setDefault(&c.LevelLabel, "level")
	setDefault(&c.PodLabel, "pod")
	setDefault(&c.Lead, 10*time.Minute)
	setDefault(&c.MinWindow, 5*time.Minute)
	setDefault(&c.MaxWindow, time.Hour)
	setDefault(&c.Limit, 5000)
	setDefault(&c.Timeout, 10*time.Second)
	if len(c.ErrorLevels) == 0 {
		c.ErrorLevels = []string{"error", "err", "fatal", "critical", "crit", "alert", "emergency", "panic", "severe"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return errors.Join(c.checkURL(), c.checkLogin(), c.checkLabels(), c.checkBounds(), c.checkGrafana())
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}

func (c *Config) checkURL() error {
	return checkURL("url", c.URL)
}

// checkURL keeps secrets out of URLs, and so its errors do not quote them.
func checkURL(field, value string) error {
	u, err := url.Parse(value)
	switch {
	case value == "":
		return fmt.Errorf("%s is missing", field)
	case err != nil, u.Host == "", u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("%s is not a URL such as https://loki.example.com", field)
	case u.User != nil:
		return fmt.Errorf("%s holds a user name: use username and password_file", field)
	case u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("%s has a query or fragment", field)
	}
	return nil
}

func (c *Config) checkLogin() error {
	password, bearer, err := c.secrets()
	switch {
	case err != nil:
		return err
	case (c.Username == "") != password.Empty():
		return errors.New("username and password go together: one is missing")
	case c.Username != "" && !bearer.Empty():
		return errors.New("username and bearer_token are both set: keep one")
	}
	return nil
}

func (c *Config) secrets() (password, bearer secret.Secret, err error) {
	password, passwordErr := secret.Resolve("password", c.Password, c.PasswordFile)
	bearer, bearerErr := secret.Resolve("bearer_token", c.BearerToken, c.BearerTokenFile)
	return password, bearer, errors.Join(passwordErr, bearerErr)
}

func (c *Config) checkLabels() error {
	var errs []error
	for field, name := range map[string]string{
		"cluster_label": c.ClusterLabel, "service_label": c.ServiceLabel,
		"level_label": c.LevelLabel, "pod_label": c.PodLabel,
	} {
		if !labelName.MatchString(name) {
			errs = append(errs, fmt.Errorf("%s: %q is no label name", field, name))
		}
	}
	return errors.Join(errs...)
}

func (c *Config) checkBounds() error {
	switch {
	case c.Limit < 1 || c.Limit > 50000:
		return fmt.Errorf("limit is %d: want 1 to 50000", c.Limit)
	case c.Lead < 0 || c.MinWindow < time.Minute || c.MaxWindow < c.MinWindow || c.MaxWindow > 24*time.Hour:
		return errors.New("lead, min_window and max_window: want lead not negative, and 1m ≤ min_window ≤ max_window ≤ 24h")
	case c.MinWindow%time.Second != 0 || c.MaxWindow%time.Second != 0:
		return errors.New("min_window and max_window: want whole seconds")
	case c.Timeout < 0:
		return errors.New("timeout is negative")
	}
	return nil
}

func (c *Config) checkGrafana() error {
	if c.GrafanaURL == "" {
		return nil
	}
	if c.GrafanaDatasource == "" {
		return errors.New("grafana_datasource is missing: the uid of the Loki data source")
	}
	return checkURL("grafana_url", c.GrafanaURL)
}
