// Package loki finds the log evidence of an incident in Loki. It is the one
// package that imports Loki, whose logcli client it uses; how lines become
// patterns is correlate's.
package loki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/grafana/loki/v3/pkg/logql/syntax"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/correlate"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of what one incident costs Loki and its reader.
const (
	shown      = 3 // patterns
	candidates = 5 // patterns that are counted exactly where not every line was read
	atOnce     = 4 // queries that count
	parts      = 4 // of the older part of a window that has too many lines
)

// Source finds error lines in one Loki. It may be used concurrently.
type Source struct {
	cfg       Config
	transport *http.Transport
}

// New returns a Source, or an error that names every field that is wrong.
// It does not ask Loki anything.
func New(c Config) (*Source, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("configure loki: %w", err)
	}
	tlsConfig, err := c.tls()
	if err != nil {
		return nil, fmt.Errorf("configure loki: %w", err)
	}
	return &Source{cfg: c, transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: c.Timeout}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: c.Timeout,
		MaxIdleConnsPerHost: 2 * atOnce,
		IdleConnTimeout:     90 * time.Second,
		ForceAttemptHTTP2:   true,
	}}, nil
}

func (c *Config) tls() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	if conf.RootCAs, err = x509.SystemCertPool(); err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !conf.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: %s holds no certificate", c.CAFile)
	}
	return conf, nil
}

// Close closes idle connections.
func (s *Source) Close() { s.transport.CloseIdleConnections() }

// Collect returns the top patterns of the error lines that a stream selector
// selects in the incident's clusters, from shortly before the incident until
// now, against the same length of time before. Without a selector it looks
// for the incident's service. It always returns: what went wrong is in the
// evidence's problem, and the link is there as soon as there is a query.
func (s *Source) Collect(ctx context.Context, inc alert.Incident, selector string) page.Evidence {
	w := s.cfg.window(inc, s.cfg.Now())
	e := page.Evidence{Source: "logs", Window: w.length()}
	ms, err := s.cfg.matchers(inc, selector)
	if err != nil {
		e.Problem = s.short(err.Error())
		return e
	}
	base := syntax.MatchersString(ms)
	e.Link = s.cfg.explore([]string{base}, w)
	streams, err := s.streams(ctx, base, w.before().from, w.to)
	if err != nil {
		e.Problem = s.problem(err)
		return e
	}
	if len(streams) == 0 {
		e.Problem = s.short("no log streams match " + base)
		return e
	}
	if ms, err = s.cfg.narrow(ms, inc, streams); err != nil {
		e.Problem = s.short(err.Error())
		return e
	}
	queries, err := s.cfg.errorQueries(ms, streams)
	if err != nil {
		e.Problem = s.short(err.Error())
		return e
	}
	if len(queries) == 0 { // streams, but none of an error level
		return e
	}
	e.Link = s.cfg.explore(queries, w)
	e.Patterns, e.Problem = s.patterns(ctx, queries, w)
	return e
}

// patterns reads both windows and returns what is shown of them.
func (s *Source) patterns(ctx context.Context, queries []string, w window) ([]page.LogPattern, string) {
	now, before := s.readBoth(ctx, queries, w)
	problem := ""
	switch {
	case now.err != nil:
		problem = s.problem(now.err)
	case before.err != nil:
		problem = "nothing to compare with: " + s.problem(before.err)
	}
	ranked := group(now, before)
	ranked = ranked[:min(len(ranked), candidates)]
	for i := range ranked {
		ranked[i].AtLeast = now.incomplete() || before.incomplete()
	}
	if now.more || before.more {
		s.countExactly(ctx, queries, w, ranked, now, before)
		correlate.Rank(ranked)
	}
	var shownPatterns []page.LogPattern
	for _, p := range ranked[:min(len(ranked), shown)] {
		shownPatterns = append(shownPatterns, p.Page())
	}
	return shownPatterns, problem
}

// reading is what was read of one window.
type reading struct {
	records []correlate.Record
	ignored []correlate.Record // error words, but another level
	more    bool               // there were more lines than were read
	err     error              // of a query; the others' lines are there
}

func (r reading) incomplete() bool { return r.more || r.err != nil }

func (s *Source) readBoth(ctx context.Context, queries []string, w window) (now, before reading) {
	var wg sync.WaitGroup
	wg.Go(func() { now = s.read(ctx, queries, w) })
	wg.Go(func() { before = s.read(ctx, queries, w.before()) })
	wg.Wait()
	return now, before
}

func (s *Source) read(ctx context.Context, queries []string, w window) reading {
	var r reading
	for _, q := range queries {
		entries, more, err := s.lines(ctx, q, w, s.cfg.Limit)
		if err != nil {
			r.err = err
		}
		if more {
			r.more = true
			entries = append(entries, s.older(ctx, q, w, entries)...)
		}
		for _, e := range entries {
			s.add(&r, e)
		}
	}
	return r
}

// older returns lines from before those that were read, in turns from all of
// the rest of the window: what came first is often the cause. What it cannot
// read is left out, since the window is known to be read in part.
func (s *Source) older(ctx context.Context, query string, w window, read []entry) []entry {
	oldest := w.to
	for _, e := range read {
		if e.at.Before(oldest) {
			oldest = e.at
		}
	}
	rest := window{w.from, oldest}
	if rest.length() < parts || s.cfg.Limit < parts {
		return nil
	}
	var wg sync.WaitGroup
	var found [parts][]entry
	for i := range parts {
		part := window{rest.from.Add(rest.length() * time.Duration(i) / parts), rest.from.Add(rest.length() * time.Duration(i+1) / parts)}
		wg.Go(func() { found[i], _, _ = s.lines(ctx, query, part, s.cfg.Limit/parts) })
	}
	wg.Wait()
	var entries []entry
	for _, f := range found {
		entries = append(entries, f...)
	}
	return entries
}

// add parses a line. What the line does not say, its labels may.
func (s *Source) add(r *reading, e entry) {
	rec := correlate.Parse(e.line)
	if rec.Message == "" {
		return
	}
	fill := func(to *string, labels ...string) {
		for _, l := range labels {
			if *to == "" {
				*to = strings.Clone(strings.ToValidUTF8(e.labels[l], "?"))
			}
		}
	}
	if e.labels[s.cfg.ClusterLabel] != "" {
		rec.Cluster = "" // where the line was collected outdoes what it says
	}
	fill(&rec.Cluster, s.cfg.ClusterLabel)
	fill(&rec.Pod, s.cfg.PodLabel)
	fill(&rec.TraceID, "trace_id", "traceId", "traceID")
	if e.labels[s.cfg.LevelLabel] == "" && rec.Level != "" && !s.cfg.isError(rec.Level) {
		r.ignored = append(r.ignored, rec)
		return
	}
	r.records = append(r.records, rec)
}

func group(now, before reading) []correlate.Pattern {
	ps := correlate.NewPatterns(correlate.NewMasker())
	for _, r := range now.records {
		ps.Add(r)
	}
	for _, r := range before.records {
		ps.AddBefore(r)
	}
	return ps.Ranked()
}

// countExactly lets Loki count the lines of patterns where not all of them
// were read. A pattern stays at what was read when its expression selects
// other lines too, by what was read, or when Loki does not answer.
func (s *Source) countExactly(ctx context.Context, queries []string, w window, ps []correlate.Pattern, now, before reading) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range ps {
		if !selectsExactly(ps[i], now, before) {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s.countPattern(ctx, queries, w, &ps[i], now, before)
		})
	}
	wg.Wait()
}

func (s *Source) countPattern(ctx context.Context, queries []string, w window, p *correlate.Pattern, now, before reading) {
	exact := now.err == nil && before.err == nil
	for _, side := range []struct {
		w    window
		more bool
		n    *int
	}{{w, now.more, &p.Count}, {w.before(), before.more, &p.Before}} {
		if !side.more {
			continue
		}
		n, ok := s.total(ctx, queries, *p, side.w)
		exact = exact && ok && n >= *side.n
		*side.n = max(n, *side.n)
	}
	p.AtLeast = !exact
}

// total counts a pattern's lines over all queries. Loki's ranges are open on
// the left and closed on the right: one nanosecond earlier they are a window.
func (s *Source) total(ctx context.Context, queries []string, p correlate.Pattern, w window) (int, bool) {
	sum := 0
	for _, q := range queries {
		query, ok := countQuery(q, p, w.length())
		if !ok {
			return 0, false
		}
		n, err := s.count(ctx, query, w.to.Add(-1))
		if err != nil {
			return 0, false
		}
		sum += n
	}
	return sum, true
}

// selectsExactly tells whether, among the lines that were read, a pattern's
// expression selects the pattern's lines and no others.
func selectsExactly(p correlate.Pattern, readings ...reading) bool {
	re, err := regexp.Compile(correlate.Expression(p.Template))
	if err != nil {
		return false
	}
	selected := 0
	for _, r := range readings {
		for _, list := range [][]correlate.Record{r.records, r.ignored} {
			for _, rec := range list {
				if rec.Format == p.Sample.Format && rec.MessageKey == p.Sample.MessageKey &&
					(p.Sample.Code == "" || rec.Code == p.Sample.Code) && re.MatchString(rec.Message) {
					selected++
				}
			}
		}
	}
	return selected == p.Count+p.Before
}
