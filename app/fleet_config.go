package app

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/rules"
	"github.com/midwatch-slo/midwatch/slo"
)

// Fleet says how the rules of SLOs that are the fleet's (scope: fleet or both)
// are evaluated. It needs not be there: they are as soon as there is one.
type Fleet struct {
	Enabled      *bool          `yaml:"enabled"`       // default true, unless a ruler is given these rules
	Path         string         `yaml:"path"`          // folder of the series that are recorded; default midwatch-fleet, beside the SQLite file
	Retention    model.Duration `yaml:"retention"`     // of these series; default the longest window of an SLO and five days, at least 35d
	MaxBytes     int64          `yaml:"max_bytes"`     // of these series on disk; default 8 GiB
	MissingAfter model.Duration `yaml:"missing_after"` // how long a cluster may be missing before an alert says so; default 5m
	RemoteWrite  yamldoc.Raw    `yaml:"remote_write"`  // a list as in Prometheus' configuration; none: written nowhere else
}

const (
	fleetFolder = "fleet/" // of the rules that see all clusters
	// parameterRecord is the series of what differs between SLOs.
	parameterRecord = "slo:parameter:value"
	// parametersEvery is how often they are recorded: it asks nobody anything.
	parametersEvery = 10 * time.Second
	fleetSlack      = 5 * 24 * time.Hour
	fleetRetention  = 35 * 24 * time.Hour
)

// fleetRules are the rules that Midwatch evaluates itself.
type fleetRules struct {
	groups    []rulefmt.RuleGroup
	slos      []string // names
	retention time.Duration
	remote    []*config.RemoteWriteConfig
}

// readFleet makes the rules of the fleet. There are none when no SLO is the
// fleet's, or somebody else evaluates them.
func (s *state) readFleet() error {
	c := &s.config.Fleet
	if by, elsewhere := s.fleetRuler(); elsewhere && c.Enabled == nil {
		return nil
	} else if elsewhere && *c.Enabled {
		return s.fleetProblem("fleet.enabled", fmt.Sprintf("rules.rulers.%d evaluates these rules too, so that each alert would come twice", by), "leave it out, or take the part fleet from that ruler")
	}
	if c.Enabled != nil && !*c.Enabled {
		return nil
	}
	ours := map[string]bool{}
	longest := time.Duration(0)
	f := &fleetRules{}
	for _, def := range s.slos {
		if def.Scope == slo.ScopeFleet || def.Scope == slo.ScopeBoth {
			ours[def.ID()] = true
			f.slos = append(f.slos, def.Name)
			longest = max(longest, def.Window.Duration())
		}
	}
	if len(ours) == 0 {
		return nil
	}
	if c.Retention < 0 || c.MaxBytes < 0 || c.MissingAfter < 0 {
		return s.fleetProblem("fleet", "a limit is negative", "")
	}
	f.retention = time.Duration(c.Retention)
	if f.retention == 0 {
		f.retention = max(fleetRetention, longest+fleetSlack)
	}
	var err error
	if f.remote, err = readRemoteWrite(c.RemoteWrite, s.config.dir); err != nil {
		return s.fleetProblem("fleet.remote_write", err.Error(), "as in prometheus.yml")
	}
	set, err := s.compiled()
	if err != nil {
		return err
	}
	f.groups = fleetGroups(set, ours)
	s.fleet = f
	return nil
}

// fleetProblem returns a problem without the text of its line, which may hold a
// secret.
func (s *state) fleetProblem(field, message, hint string) error {
	return discreet(diag.Problems{s.config.problem(field, message, hint)}).Err()
}

// fleetRuler returns which ruler is given the fleet's rules, if one is.
func (s *state) fleetRuler() (index int, is bool) {
	if s.config.Rules == nil {
		return 0, false
	}
	index = slices.IndexFunc(s.config.Rules.Rulers, func(r Ruler) bool { return slices.Contains(r.Parts, partFleet) })
	return index, index >= 0
}

// compiled returns the rules of all SLOs.
func (s *state) compiled() (rules.Set, error) {
	if s.rules != nil {
		return s.rules.set, nil
	}
	var o rules.Options
	if s.config.Rules != nil {
		o = s.config.Rules.options()
	}
	return rules.Compile(s.slos, o)
}

// fleetGroups returns the groups over all clusters, and before them one of the
// SLOs' parameters: what these are is known here, and no cluster is asked.
func fleetGroups(set rules.Set, ours map[string]bool) []rulefmt.RuleGroup {
	parameters := rulefmt.RuleGroup{Name: "midwatch-fleet-parameters", Interval: model.Duration(parametersEvery)}
	var out []rulefmt.RuleGroup
	for _, f := range set.Files {
		if strings.HasPrefix(f.Name, fleetFolder) {
			out = append(out, f.Groups...)
			continue
		}
		for _, g := range f.Groups {
			for _, r := range g.Rules {
				if r.Record == parameterRecord && ours[r.Labels["service"]+"/"+r.Labels["slo"]] {
					r.Labels = maps.Clone(r.Labels)
					r.Labels["scope"] = "fleet"
					parameters.Rules = append(parameters.Rules, r)
				}
			}
		}
	}
	return slices.Insert(out, 0, parameters)
}

// readRemoteWrite reads a list of Prometheus' remote write configurations.
func readRemoteWrite(raw yamldoc.Raw, dir string) ([]*config.RemoteWriteConfig, error) {
	if raw.Node == nil {
		return nil, nil
	}
	text, err := yaml.Marshal(raw.Node)
	if err != nil {
		return nil, errors.New("it cannot be read")
	}
	var out []*config.RemoteWriteConfig
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&out); err != nil {
		return nil, errors.New(unquoted(err.Error()))
	}
	for i, c := range out {
		if c == nil {
			return nil, fmt.Errorf("number %d is empty", i+1)
		}
		if c.URL == nil || c.URL.Host == "" || c.URL.Scheme != "http" && c.URL.Scheme != "https" {
			return nil, fmt.Errorf("number %d: want an http or https URL", i+1)
		}
		if err := c.HTTPClientConfig.Validate(); err != nil {
			return nil, fmt.Errorf("number %d: %w", i+1, err)
		}
		c.SetDirectory(dir)
	}
	return out, nil
}

// unquoted takes values out of a message of the YAML decoder: they may be
// secrets.
func unquoted(message string) string {
	var b strings.Builder
	for i, part := range strings.Split(message, "`") {
		if i%2 == 0 {
			b.WriteString(part)
		} else {
			b.WriteString("the value")
		}
	}
	return strings.Join(strings.Fields(strings.TrimPrefix(b.String(), "yaml: unmarshal errors:")), " ")
}
