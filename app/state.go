package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/correlate/loki"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/ingest"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/source"
	"github.com/midwatch-slo/midwatch/web"
)

// state is all that a reload replaces at once: it is built whole before it is
// used, and never changed after.
type state struct {
	config     Config
	slos       []slo.SLO
	byID       map[string]slo.SLO            // "service/name"
	roster     *oncall.Roster                // as the files say
	fed        atomic.Pointer[oncall.Roster] // with the calendars that were fetched
	laid       atomic.Int64                  // which version of the calendars that was
	duty       atomic.Pointer[oncall.Roster] // and with the overrides made at run time
	federation *federation.Federation
	logs       *loki.Source // nil when none is configured
	senders    *notifiers.Registry
	channels   map[string]notifiers.Notifier // senders sends through them
	tokens     *web.Tokens
	ingest     *web.Ingest
	querying   *web.Querying
	severities ingest.Severities
	inhibit    []incident.InhibitRule
	watched    []incident.Watch
	templates  *page.Templates      // nil: the built-in words
	rules      *ruleTargets         // nil: rules are kept nowhere
	fleet      *fleetRules          // nil: no rules of the fleet are evaluated
	registry   *prometheus.Registry // of the metrics of these parts
}

// makeState makes a state of the configuration file. Nothing that runs is touched:
// when it fails, all is as it was. What the fleet's rules record is queried with
// the clusters' series.
func makeState(o Options, own *fleetKeeper) (*state, error) {
	log := o.Logger
	c, err := LoadConfig(o.ConfigFile)
	if err != nil {
		return nil, err
	}
	if o.Cache > 0 {
		c.Federation.Cache = o.Cache
	}
	s := &state{config: c, byID: map[string]slo.SLO{}, registry: prometheus.NewRegistry()}
	var problems diag.Problems
	note := func(field string, err error) { problems = append(problems, s.problems(field, err)...) }
	note("slo_files", s.loadSLOs())
	note("oncall_files", s.loadOnCall())
	note("clusters", s.connectClusters(log, own))
	note("logs", s.connectLogs())
	note("template_files", s.loadTemplates())
	s.connectChannels(log, note)
	note("api.tokens", s.readTokens())
	sentry, err := s.readSentry()
	note("ingest", err)
	note("api.ingest_tokens", s.readIngest(sentry))
	note("api.query_tokens", s.readQuerying())
	note("incidents", s.readPaging())
	_, err = newPulse(c.Heartbeat, nil, log)
	note("heartbeat", err)
	if s.roster != nil {
		note("notifiers", s.checkChannels())
	}
	note("report", s.checkReport())
	if len(problems) == 0 { // else not all SLOs may be there
		note("rules", s.readRules())
	}
	if len(problems) == 0 {
		note("fleet", s.readFleet())
	}
	return s, problems.Err()
}

// problems returns the problems that err carries; one that carries none is a
// problem of a field of the configuration.
func (s *state) problems(field string, err error) diag.Problems {
	if err == nil {
		return nil
	}
	if found, ok := diag.Of(err); ok {
		return found
	}
	message := strings.ReplaceAll(err.Error(), "\n", "; ")
	return discreet(diag.Problems{s.config.problem(field, message, "")})
}

func (s *state) loadSLOs() error {
	files, err := s.config.files("slo_files", s.config.SLOFiles)
	if err != nil {
		return err
	}
	if s.slos, err = source.Load(files); err != nil {
		return err
	}
	for _, def := range s.slos {
		s.byID[def.ID()] = def
	}
	return nil
}

func (s *state) loadOnCall() (err error) {
	s.roster, err = s.config.Roster()
	s.fed.Store(s.roster)
	s.duty.Store(s.roster)
	return err
}

func (s *state) loadTemplates() error {
	if len(s.config.TemplateFiles) == 0 {
		return nil
	}
	files, err := s.config.files("template_files", s.config.TemplateFiles)
	if err != nil {
		return err
	}
	s.templates, err = page.LoadTemplates(files)
	return err
}

// readSentry reads the secret that Sentry signs by, none when there is none.
// One that is there and empty is an error: anybody could sign.
func (s *state) readSentry() (sentry secret.Secret, err error) {
	c := s.config.Ingest
	if c.SentrySecret.Empty() && c.SentrySecretFile == "" {
		if s.config.node("ingest.sentry_secret") != nil {
			return sentry, errors.New("sentry_secret is empty: give one, or leave it out and signatures are not looked at")
		}
		return sentry, nil
	}
	return secret.Resolve("ingest.sentry_secret", c.SentrySecret, c.SentrySecretFile)
}

func (s *state) readIngest(sentry secret.Secret) (err error) {
	s.ingest, err = web.NewIngest(s.config.API.IngestTokens, sentry)
	return err
}

func (s *state) readQuerying() (err error) {
	s.querying, err = web.NewQuerying(s.config.API.QueryTokens, func(matchers []string) (func(context.Context) context.Context, error) {
		ms, err := federation.ParseMatchers(matchers)
		return func(ctx context.Context) context.Context { return federation.WithMatchers(ctx, ms...) }, err
	})
	return err
}

// readPaging makes of what is said of incidents what the engine takes.
func (s *state) readPaging() (err error) {
	if s.severities, err = s.config.severities(); err != nil {
		return err
	}
	if s.inhibit, err = s.config.inhibitions(s.slos); err != nil {
		return err
	}
	s.watched, err = s.config.watched()
	return err
}

// Roster reads the on-call files that the configuration names.
func (c *Config) Roster() (*oncall.Roster, error) {
	files, err := c.files("oncall_files", c.OnCallFiles)
	if err != nil {
		return nil, err
	}
	return oncall.Load(files)
}

func (s *state) connectClusters(log *slog.Logger, own *fleetKeeper) (err error) {
	s.federation, err = federation.New(federation.Config{
		Clusters:     s.config.Clusters,
		Local:        []federation.Local{{Name: "fleet", Queryable: own}},
		Rules:        own,
		QueryTimeout: time.Duration(s.config.Federation.Timeout),
		MaxSamples:   s.config.Federation.MaxSamples,
		CacheBytes:   int64(s.config.Federation.Cache),
		Logger:       log.With("component", "federation"),
		Registerer:   s.registry,
	})
	found, _ := diag.Of(err)
	for i, p := range found {
		found[i] = s.config.problem(p.Field, strings.ReplaceAll(p.Message, "\n", "; "), p.Hint)
	}
	if len(found) > 0 {
		return discreet(found).Err()
	}
	return err
}

func (s *state) connectLogs() (err error) {
	if s.config.Logs != nil {
		s.logs, err = loki.New(*s.config.Logs)
	}
	return err
}

// connectChannels notes what is wrong with the channels' configuration.
func (s *state) connectChannels(log *slog.Logger, note func(field string, err error)) {
	opened, wrong := s.config.Channels.open(log)
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		note("notifiers."+name, wrong[name])
	}
	var options []notifiers.Option
	if s.templates != nil {
		failures := prometheus.NewCounter(prometheus.CounterOpts{
			Name: "midwatch_page_template_failures_total", Help: "Pages of which a template failed, so that a part had the built-in words.",
		})
		s.registry.MustRegister(failures)
		options = append(options, notifiers.WithTemplates(s.templates, log.With("component", "templates"), failures))
	}
	s.channels, s.senders = opened, notifiers.NewRegistry(opened, options...)
}

// succeed takes over what the state before has learned of its providers and
// clusters.
func (s *state) succeed(before *state) {
	s.federation.Inherit(before.federation)
	for name, n := range s.channels {
		if was, ok := before.channels[name]; ok {
			inherit(n, was)
		}
	}
}

// checkReport finds addresses in channels that are not configured.
func (s *state) checkReport() error {
	if s.config.Report == nil {
		return nil
	}
	var errs []error
	for _, to := range s.config.Report.To {
		if _, ok := s.config.Channels[to.Channel]; !ok {
			errs = append(errs, fmt.Errorf("it is to go through %q, but notifiers.%s is not configured", to.Channel, to.Channel))
		} else if to.Address == "" && s.config.Channels[to.Channel].Kind != "webhook" {
			errs = append(errs, fmt.Errorf("it is to go through %q, but to no address", to.Channel))
		}
	}
	return errors.Join(errs...)
}

// checkChannels finds contacts through channels that are not configured.
func (s *state) checkChannels() error {
	configured := s.senders.Channels()
	var errs []error
	for _, name := range s.roster.Channels() {
		if !slices.Contains(configured, name) {
			errs = append(errs, fmt.Errorf("the on-call files have contacts by %q, but notifiers.%s is not configured", name, name))
		}
	}
	return errors.Join(errs...)
}

func (s *state) readTokens() (err error) {
	s.tokens, err = web.NewTokens(s.config.API.Tokens)
	return err
}

// checkClusters logs what is not as configured in any cluster.
func (s *state) checkClusters(ctx context.Context, log *slog.Logger) {
	for _, c := range s.federation.Check(ctx) {
		for _, problem := range c.Problems() {
			log.WarnContext(ctx, "cluster is not as configured", "problem", problem)
		}
	}
}

// close lets go of idle connections; queries under way still end well.
func (s *state) close() {
	s.federation.Close()
	s.rules.close()
	if s.logs != nil {
		s.logs.Close()
	}
}
