// Package lint finds what is valid in SLO files and yet will not do what its
// author thinks. Each check is a file of its own; docs/lint.md lists them.
// What is not valid at all is found by package slo, and not here.
package lint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo"
)

// Severity says how bad a finding is.
type Severity string

// The severities: what counts or alerts wrongly, what probably does, and what
// is good to know.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Finding is something that will not do what its author thinks. Its hint says
// what to do.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	SLO      string   `json:"slo"`
	diag.Problem
}

// Check is one thing that is looked for.
type Check struct {
	Name     string // such as errors-not-in-total
	Severity Severity
	Finds    string // what it finds, for people
	Why      string // what comes of it

	one func(*subject)                        // looks at one SLO
	all func(*linter, []*subject)             // looks at all of them
	ask func(context.Context, *subject) error // asks a Prometheus
}

// Asks says whether the check asks a Prometheus.
func (c Check) Asks() bool { return c.ask != nil }

// Options say what is looked for.
type Options struct {
	Now      time.Time                         // required
	Read     func(file string) ([]byte, error) // of an SLO, for places and comments; nil: findings are where the SLO's name is
	Disabled []string                          // checks by their names
	Scrape   time.Duration                     // between scrapes; 15s by default
	Server   Server                            // nil: nobody is asked
	Timeout  time.Duration                     // of each question to the server; 10s by default
}

// ErrUnknownCheck is returned where a check is disabled that there is not.
var ErrUnknownCheck = errors.New("no such check")

// Run returns what it finds in SLOs, in the order of their places. The error
// joins what the server did not answer; what it did is found also then.
func Run(ctx context.Context, slos []slo.SLO, o Options) ([]Finding, error) {
	o.Scrape, o.Timeout = cmp.Or(o.Scrape, 15*time.Second), cmp.Or(o.Timeout, 10*time.Second)
	checks := Checks()
	for _, name := range o.Disabled {
		if !slices.ContainsFunc(checks, func(c Check) bool { return c.Name == name }) {
			return nil, fmt.Errorf("%w: %q: there are %s", ErrUnknownCheck, name, strings.Join(Names(), ", "))
		}
	}
	var server *patience
	if o.Server != nil {
		server = &patience{server: o.Server}
		o.Server = server
	}
	l := linter{o: o, files: map[string]*file{}}
	for _, s := range slos {
		l.subjects = append(l.subjects, l.subject(s))
	}
	var unanswered []error
	for _, c := range checks {
		if !slices.Contains(o.Disabled, c.Name) {
			unanswered = append(unanswered, l.check(ctx, c))
		}
	}
	l.unknownDisables(checks)
	slices.SortStableFunc(l.found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Rule, b.Rule))
	})
	if server != nil && server.silent() {
		return l.found, server.err()
	}
	return l.found, errors.Join(unanswered...)
}

// linter gathers findings.
type linter struct {
	o        Options
	files    map[string]*file
	subjects []*subject
	found    []Finding
}

func (l *linter) check(ctx context.Context, c Check) error {
	for _, s := range l.subjects {
		s.check = c
	}
	if c.all != nil {
		c.all(l, l.subjects)
	}
	var unanswered []error
	for _, s := range l.subjects {
		if c.one != nil {
			c.one(s)
		}
		if c.ask == nil || l.o.Server == nil || s.disabled[c.Name] {
			continue
		}
		if err := c.ask(ctx, s); err != nil {
			unanswered = append(unanswered, fmt.Errorf("%s of %s: %w", c.Name, s.slo.ID(), err))
			if ctx.Err() != nil {
				break
			}
		}
	}
	return errors.Join(unanswered...)
}

// Names returns the names of all checks.
func Names() (names []string) {
	for _, c := range Checks() {
		names = append(names, c.Name)
	}
	return names
}
