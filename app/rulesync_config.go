package app

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/rules/ruler"
)

// Rules says where rules are kept in step with the SLOs, and for which
// intervals they are made.
type Rules struct {
	Interval       model.Duration `yaml:"interval"`        // of evaluation; default 30s
	ScrapeInterval model.Duration `yaml:"scrape_interval"` // of what the SLOs count; default 15s
	CatchUp        bool           `yaml:"catch_up"`
	Compat         string         `yaml:"compat"` // sloth: the labels of its dashboards too
	Every          model.Duration `yaml:"every"`  // how often it is looked whether all is in step; default 5m, 10s to 1h
	Files          []RuleFiles    `yaml:"files"`
	Rulers         []Ruler        `yaml:"rulers"`
	Compare        *[]string      `yaml:"compare"` // clusters whose loaded rules are compared; none given: all
}

// RuleFiles is a folder that rules are written to.
type RuleFiles struct {
	Dir        string            `yaml:"dir"`
	Format     rules.Format      `yaml:"format"`    // default prometheus
	Namespace  string            `yaml:"namespace"` // of operator's objects
	Labels     map[string]string `yaml:"labels"`    // of operator's objects
	ReloadURLs []secret.Secret   `yaml:"reload_urls"`
}

// Ruler is a ruler that takes rules over HTTP.
type Ruler struct {
	ruler.Config `yaml:",inline"`
	Namespace    string   `yaml:"namespace"` // all of which is Midwatch's; default midwatch
	Parts        []string `yaml:"parts"`     // cluster, fleet, logs; default logs for Loki's, else cluster
}

// The parts of the rules, by who evaluates them.
const (
	partCluster = "cluster" // each cluster's Prometheus
	partFleet   = "fleet"   // who sees the series of all clusters
	partLogs    = "logs"    // Loki's ruler
)

func (c *Rules) options() rules.Options {
	return rules.Options{Interval: time.Duration(c.Interval), ScrapeInterval: time.Duration(c.ScrapeInterval), CatchUp: c.CatchUp}
}

// readRules makes the rules of the SLOs and what keeps them, and returns all
// that is wrong with how the configuration has it.
func (s *state) readRules() error {
	c := s.config.Rules
	if c == nil {
		return nil
	}
	setDefault(&c.Every, model.Duration(5*time.Minute))
	var problems diag.Problems
	at := func(field, message, hint string) {
		problems = append(problems, s.config.problem("rules."+field, message, hint))
	}
	if every := time.Duration(c.Every); every < 10*time.Second || every > time.Hour {
		at("every", fmt.Sprintf("%s is not between 10s and 1h", c.Every), "")
	}
	if c.Compat != "" && c.Compat != "sloth" {
		at("compat", fmt.Sprintf("%q is not to be had", c.Compat), "there is sloth")
	}
	r := &ruleTargets{every: time.Duration(c.Every)}
	r.compare = s.compared(at)
	r.readFiles(c.Files, s.config.dir, at)
	r.readRulers(c.Rulers, s.config.dir, at)
	if len(problems) > 0 {
		return discreet(problems)
	}
	set, err := rules.Compile(s.slos, c.options())
	if err == nil && c.Compat != "" {
		set, err = set.ForSloth()
	}
	if err != nil {
		return err
	}
	r.set = set
	s.rules = r
	return nil
}

// compared returns the clusters whose loaded rules are looked at.
func (s *state) compared(at func(field, message, hint string)) (out []federation.Cluster) {
	chosen := s.config.Rules.Compare
	for _, c := range s.config.Clusters {
		if chosen == nil || slices.Contains(*chosen, c.Name) {
			out = append(out, c)
		}
	}
	if chosen == nil {
		return out
	}
	for i, name := range *chosen {
		if !slices.ContainsFunc(s.config.Clusters, func(c federation.Cluster) bool { return c.Name == name }) {
			at(fmt.Sprintf("compare.%d", i), fmt.Sprintf("there is no cluster %q", name), "a name of clusters")
		}
	}
	return out
}

func (r *ruleTargets) readFiles(files []RuleFiles, dir string, at func(field, message, hint string)) {
	seen := map[string]bool{}
	for i, f := range files {
		field := fmt.Sprintf("files.%d", i)
		output := rules.Output{Format: f.Format, Namespace: f.Namespace, Labels: f.Labels}
		if f.Dir == "" {
			at(field+".dir", "missing", "the folder to write to, such as /etc/prometheus/rules")
			continue
		}
		if !filepath.IsAbs(f.Dir) {
			f.Dir = filepath.Join(dir, f.Dir)
		}
		if seen[filepath.Clean(f.Dir)] {
			at(field+".dir", "this folder is given twice", "each set of rules needs a folder of its own")
		}
		seen[filepath.Clean(f.Dir)] = true
		if err := output.Check(); err != nil {
			at(field, err.Error(), "")
		}
		t := fileTarget{dir: f.Dir, output: output}
		for j, u := range f.ReloadURLs {
			reload, err := reloadURL(u.Reveal())
			if err != nil {
				at(fmt.Sprintf("%s.reload_urls.%d", field, j), err.Error(), "such as http://prometheus:9090/-/reload")
				continue
			}
			t.reloads = append(t.reloads, reload)
		}
		r.targets = append(r.targets, t)
	}
}

// reloadURL returns where a reload is asked for: the path is Prometheus' own
// where none is given.
func reloadURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("want an http or https URL")
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = "/-/reload"
	}
	return u, nil
}

func (r *ruleTargets) readRulers(rulers []Ruler, dir string, at func(field, message, hint string)) {
	seen := map[string]bool{}
	for i, c := range rulers {
		field := fmt.Sprintf("rulers.%d", i)
		if c.Namespace == "" {
			c.Namespace = "midwatch"
		}
		if len(c.Parts) == 0 {
			c.Parts = []string{partCluster}
			if c.API == ruler.Loki {
				c.Parts = []string{partLogs}
			}
		}
		for _, p := range c.Parts {
			if p != partCluster && p != partFleet && p != partLogs || (p == partLogs) != (c.API == ruler.Loki) {
				at(field+".parts", fmt.Sprintf("%q is not for this ruler", p), "logs for Loki's; cluster and fleet for others")
			}
		}
		key := strings.Join([]string{c.URL, c.Tenant, c.Namespace}, "\n")
		if seen[key] {
			at(field, "this namespace is given twice", "each set of rules needs a namespace of its own")
		}
		seen[key] = true
		resolvePaths(reflect.ValueOf(&c.Config).Elem(), dir) // once more is no harm
		client, err := ruler.New(c.Config)
		if err != nil {
			at(field, err.Error(), "")
			continue
		}
		r.targets = append(r.targets, rulerTarget{client: client, url: c.URL, tenant: c.Tenant, namespace: c.Namespace, parts: c.Parts})
	}
}
