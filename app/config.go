package app

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/correlate/loki"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/web"
)

// Config is the configuration file of "midwatch serve". Paths in it are
// relative to the file's own folder.
type Config struct {
	ExternalURL   string                 `yaml:"external_url"`   // how people reach this server: the links in pages
	SLOFiles      []string               `yaml:"slo_files"`      // globs
	OnCallFiles   []string               `yaml:"oncall_files"`   // globs
	TemplateFiles []string               `yaml:"template_files"` // globs; none: pages have the built-in words
	Clusters      []federation.Cluster   `yaml:"clusters"`
	Federation    Federation             `yaml:"federation"`
	Store         Store                  `yaml:"store"`
	Logs          *loki.Config           `yaml:"logs"` // none: pages come without log evidence
	Evidence      Evidence               `yaml:"evidence"`
	Incidents     Incidents              `yaml:"incidents"`
	Watchdog      Watchdog               `yaml:"watchdog"`
	Heartbeat     *Heartbeat             `yaml:"heartbeat"` // none: nobody is told that Midwatch lives
	Report        *Report                `yaml:"report"`    // none: no weekly report
	Notifiers     map[string]yamldoc.Raw `yaml:"notifiers"` // channels by name: see Channels
	Ingest        Ingest                 `yaml:"ingest"`
	API           API                    `yaml:"api"`
	Rules         *Rules                 `yaml:"rules"` // none: rules are kept nowhere
	Fleet         Fleet                  `yaml:"fleet"`

	Channels Channels `yaml:"-"` // what Notifiers says

	dir  string // of the file
	file *yamldoc.File
}

// Federation bounds what one query may cost.
type Federation struct {
	Timeout    model.Duration `yaml:"timeout"`     // of a whole query; default 2m
	MaxSamples int            `yaml:"max_samples"` // in memory at once; default 50,000,000
	Cache      Bytes          `yaml:"cache"`       // for answers of a past that does not change; default 0: none is kept
}

// Store says where incidents and pages are kept, and for how long.
type Store struct {
	Path           string         `yaml:"path"` // of the SQLite file; default midwatch.db
	URL            secret.Secret  `yaml:"url"`  // of a PostgreSQL database instead, which replicas share
	URLFile        string         `yaml:"url_file"`
	Retention      model.Duration `yaml:"retention"`       // of resolved incidents with their pages; default 90d
	AuditRetention model.Duration `yaml:"audit_retention"` // default 400d
}

// Evidence says how long a first page waits for it.
type Evidence struct {
	Wait *model.Duration `yaml:"wait"` // default 3s; 0s sends at once
}

// Ingest says what alerts of other systems mean.
type Ingest struct {
	Severities       map[string]string `yaml:"severities"`    // levels of severities, besides those that are known
	SentrySecret     secret.Secret     `yaml:"sentry_secret"` // by which Sentry signs; none: signatures are not looked at
	SentrySecretFile string            `yaml:"sentry_secret_file"`
}

// API says who may acknowledge, resolve and reload, and who may send alerts,
// and who may query what.
type API struct {
	Tokens       []web.TokenConfig       `yaml:"tokens"`
	IngestTokens []web.IngestTokenConfig `yaml:"ingest_tokens"` // none: everybody may send alerts
	QueryTokens  []web.QueryTokenConfig  `yaml:"query_tokens"`  // none: everybody may query everything
}

// LoadConfig reads a configuration file. Every problem in it is reported at
// once, as diag.Problems.
func LoadConfig(path string) (Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	f, err := yamldoc.Parse(path, b)
	if found, ok := diag.Of(err); ok {
		return Config{}, discreet(found)
	}
	if err != nil {
		return Config{}, err
	}
	c := Config{dir: filepath.Dir(path), file: f}
	if len(f.Docs) != 1 {
		return c, f.At(nil, "", fmt.Sprintf("want one YAML document, found %d", len(f.Docs)), "")
	}
	problems := f.Decode(f.Docs[0], &c)
	var wrong diag.Problems
	c.Channels, wrong = readChannels(f, c.Notifiers)
	problems = append(problems, wrong...)
	c.defaults()
	if len(problems) == 0 {
		c.validate(func(field, message, hint string) { problems = append(problems, c.problem(field, message, hint)) })
	}
	resolvePaths(reflect.ValueOf(&c).Elem(), c.dir)
	for _, ch := range c.Channels {
		resolvePaths(reflect.ValueOf(ch.config), c.dir)
	}
	return c, discreet(problems).Err()
}

// problem returns a problem at the place of a field.
func (c *Config) problem(field, message, hint string) diag.Problem {
	return c.file.At(yamldoc.Lookup(c.file.Docs[0], field), field, message, hint)
}

// node returns what the file has at a field of a section, nil for nothing.
func (c *Config) node(field string) *yaml.Node {
	section, key, _ := strings.Cut(field, ".")
	of := yamldoc.Lookup(c.file.Docs[0], section)
	if n := yamldoc.Lookup(of, key); n != of {
		return n
	}
	return nil
}

// discreet takes away the text of lines that a secret could be in: problems
// are printed and logged.
func discreet(problems diag.Problems) diag.Problems {
	for i, p := range problems {
		section, _, _ := strings.Cut(p.Field, ".")
		credentials := strings.Contains(p.Source, "@") // in a URL
		private := secretive(p) || slices.Contains([]string{"notifiers", "logs", "api", "store", "heartbeat", "ingest", "rules", "fleet"}, section)
		if private || p.Field == "" || credentials {
			problems[i].Source = ""
		}
		if secretive(p) { // what a value should have been is told, not what it is
			problems[i].Message, _, _ = strings.Cut(p.Message, ", found ")
		}
	}
	return problems
}

// secretive tells whether the line of a problem with a cluster may hold a
// secret: it is about how the cluster is reached, or says so itself.
func secretive(p diag.Problem) bool {
	parts := strings.SplitN(p.Field, ".", 4)
	if parts[0] != "clusters" {
		return false
	}
	if len(parts) > 2 && !slices.Contains([]string{"name", "urls", "labels", "replica_labels", "timeout", "max_requests", "compression", "settled_after"}, parts[2]) {
		return true
	}
	line := strings.ToLower(p.Source)
	return slices.ContainsFunc([]string{"auth", "token", "secret", "password", "key", "proxy", "header", "cert"}, func(word string) bool {
		return strings.Contains(line, word)
	})
}

func (c *Config) defaults() {
	if c.Store.Path == "" && !c.Store.shared() {
		c.Store.Path = "midwatch.db"
	}
	if c.Fleet.Path == "" {
		c.Fleet.Path = filepath.Join(filepath.Dir(c.Store.Path), "midwatch-fleet")
	}
	setDefault(&c.Store.Retention, model.Duration(90*24*time.Hour))
	setDefault(&c.Store.AuditRetention, model.Duration(400*24*time.Hour))
	if c.Evidence.Wait == nil {
		wait := model.Duration(3 * time.Second)
		c.Evidence.Wait = &wait
	}
}

func setDefault(d *model.Duration, to model.Duration) {
	if *d == 0 {
		*d = to
	}
}

// shared tells whether the state is in PostgreSQL.
func (s Store) shared() bool { return !s.URL.Empty() || s.URLFile != "" }

func (c *Config) validate(at func(field, message, hint string)) {
	if u, err := url.Parse(c.ExternalURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		at("external_url", fmt.Sprintf("%q is no http or https URL", c.ExternalURL), "the address that a phone can open, such as https://midwatch.example.com")
	}
	for field, globs := range map[string][]string{"slo_files": c.SLOFiles, "oncall_files": c.OnCallFiles} {
		if len(globs) == 0 {
			at(field, "missing", "a list of globs, such as ["+strings.TrimSuffix(field, "_files")+"/*.yaml]")
		}
	}
	if len(c.Clusters) == 0 {
		at("clusters", "missing", "name at least one: {name: hangzhou, urls: [http://prometheus:9090]}")
	}
	if problems, ok := diag.Of(federation.Validate(c.Clusters)); ok {
		for _, p := range problems {
			at(p.Field, p.Message, p.Hint)
		}
	}
	if len(c.Notifiers) == 0 {
		at("notifiers", "no channel is configured, so nobody could be paged", "configure one of "+strings.Join(kindNames(), ", "))
	}
	if c.Store.shared() && c.Store.Path != "" {
		at("store", "there are both a path and a url", "path for one process with SQLite, url for replicas with PostgreSQL")
	}
	if c.Store.Retention < model.Duration(24*time.Hour) || c.Store.AuditRetention < model.Duration(24*time.Hour) {
		at("store", "what is kept for less than a day explains nothing", "such as retention: 90d")
	}
	c.validatePaging(at)
	if len(c.API.Tokens) == 0 {
		at("api.tokens", "missing, so nobody could acknowledge", "add {name: oncall, token_file: token}")
	}
	c.validateTokens(at)
}

// validateTokens finds lists that are there and empty: without tokens
// everybody may do what they are for, and without matchers a token sees
// everything, neither of which such a list says.
func (c *Config) validateTokens(at func(field, message, hint string)) {
	for _, list := range []struct {
		name, everybody string
		tokens          int
	}{{"ingest_tokens", "send alerts", len(c.API.IngestTokens)}, {"query_tokens", "query everything", len(c.API.QueryTokens)}} {
		if list.tokens == 0 && c.node("api."+list.name) != nil {
			at("api."+list.name, "the list is empty", "give a token, or leave it out and everybody may "+list.everybody)
		}
	}
	listed := c.node("api.query_tokens")
	for i, t := range c.API.QueryTokens {
		field := strconv.Itoa(i) + ".matchers"
		if len(t.Matchers) == 0 && yamldoc.Lookup(listed, field) != yamldoc.Lookup(listed, strconv.Itoa(i)) {
			at("api.query_tokens."+field, "the list is empty", "give a matcher, or leave it out and the token sees everything")
		} else if _, err := federation.ParseMatchers(t.Matchers); err != nil {
			at("api.query_tokens."+field, err.Error(), "")
		}
	}
}

// files returns what the globs match, at least one file for each. A glob
// that matches nothing is an error.
func (c *Config) files(field string, globs []string) ([]string, error) {
	var all []string
	for _, g := range globs {
		found, err := filepath.Glob(g)
		if err != nil {
			return nil, c.problem(field, fmt.Sprintf("%q: %v", g, err), "")
		}
		if len(found) == 0 {
			return nil, c.problem(field, g+" matches no file", "paths are relative to the configuration file")
		}
		all = append(all, found...)
	}
	return all, nil
}

// resolvePaths makes every path in a configuration relative to dir: the
// strings under keys that end in "path", "_file" or "_files", and those that a
// type knows itself.
func resolvePaths(v reflect.Value, dir string) {
	if v.CanAddr() {
		if own, ok := reflect.TypeAssert[interface{ SetDirectory(dir string) }](v.Addr()); ok {
			own.SetDirectory(dir)
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			resolvePaths(v.Elem(), dir)
		}
	case reflect.Slice:
		for i := range v.Len() {
			resolvePaths(v.Index(i), dir)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if !field.IsExported() {
				continue
			}
			key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
			if key == "path" || strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "_files") {
				joinPaths(v.Field(i), dir)
				continue
			}
			resolvePaths(v.Field(i), dir)
		}
	default: // holds no path
	}
}

func joinPaths(v reflect.Value, dir string) {
	switch {
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			joinPaths(v.Index(i), dir)
		}
	case v.Kind() == reflect.String && v.String() != "" && !filepath.IsAbs(v.String()):
		v.SetString(filepath.Join(dir, v.String()))
	}
}
