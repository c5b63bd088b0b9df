package compare

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// listing is fields with their texts, in an order.
type listing struct {
	order  []string
	values map[string]string
}

func (l *listing) add(name, value string) {
	if _, known := l.values[name]; !known {
		l.order = append(l.order, name)
	}
	l.values[name] = value
}

// names returns the names of both, in the order of the first.
func names(a, b listing) []string {
	out := slices.Clone(a.order)
	for _, name := range b.order {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// fields returns all that an SLO says, named as in its file.
func fields(s slo.SLO) listing {
	l := listing{values: map[string]string{}}
	l.add("description", s.Description)
	l.add("owner", s.Owner)
	l.add("team", s.Team)
	l.add("critical", fmt.Sprint(s.Critical))
	l.add("objective", s.Objective.String())
	l.add("window", window(s.Window))
	l.add("group_by", strings.Join(s.GroupBy, ", "))
	l.add("scope", string(s.Scope))
	l.add("runbook", s.Runbook)
	l.add("logs", s.Logs)
	l.labels("metadata.labels.", s.Labels)
	l.labels("metadata.annotations.", s.Annotations)
	for i, link := range s.Links {
		l.add(fmt.Sprintf("links.%d", i), strings.TrimSpace(link.Title+" "+link.URL))
	}
	l.sli(s.SLI)
	if s.Slices != nil {
		l.add("slices.length", slo.FormatDuration(s.Slices.Length))
		l.add("slices.target", s.Slices.Target.String())
	}
	for _, x := range s.Exclusions {
		l.add("exclusions."+x.Name, exclusion(x))
	}
	l.policy(s)
	return l
}

func (l *listing) labels(prefix string, of map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(of)) {
		l.add(prefix+name, of[name])
	}
}

func window(w slo.Window) string {
	if _, zone := w.Calendar(); zone != nil {
		return w.String() + " in " + zone.String()
	}
	return w.String()
}

func exclusion(x slo.Exclusion) string {
	if x.Cron == "" {
		return x.From.Format(time.RFC3339) + " to " + x.To.Format(time.RFC3339)
	}
	zone := time.UTC
	if x.Zone != nil {
		zone = x.Zone
	}
	return fmt.Sprintf("%s (%s) for %s", x.Cron, zone, slo.FormatDuration(x.Duration))
}

func (l *listing) sli(s slo.SLI) {
	sides := func(kind, errors, good, total string) {
		l.add("sli."+kind+".errors", errors)
		l.add("sli."+kind+".good", good)
		l.add("sli."+kind+".total", total)
	}
	switch {
	case s.Events != nil:
		sides("events", s.Events.Errors, s.Events.Good, s.Events.Total)
	case s.Latency != nil:
		name := "sli.latency.histogram"
		if s.Latency.Native {
			name = "sli.latency.native"
		}
		l.add(name, s.Latency.Histogram)
		l.add("sli.latency.threshold", s.Latency.Threshold.String())
	case s.Gauge != nil:
		l.add("sli.gauge.expr", s.Gauge.Expr)
		l.add("sli.gauge.good", strings.TrimSpace(s.Gauge.Op+" "+s.Gauge.Threshold))
	case s.PromQL != nil:
		sides("promql", s.PromQL.Errors, s.PromQL.Good, s.PromQL.Total)
		l.add("sli.promql.unit", string(s.PromQL.Unit))
	case s.Ratio != nil:
		sides("ratio", s.Ratio.Errors, s.Ratio.Good, s.Ratio.Total)
	case s.Logs != nil:
		sides("logs", s.Logs.Errors, s.Logs.Good, s.Logs.Total)
	}
	for _, c := range s.Composite {
		l.add("sli.composite."+c.Service+"/"+c.Name, "weight "+c.Weight.String())
	}
}

func (l *listing) policy(s slo.SLO) {
	for _, t := range s.Alerts.Tiers {
		text := t.SeverityOf(s)
		if t.Factor != nil && !t.Outage {
			text += fmt.Sprintf(" at a burn rate of %s", rat(t.Factor))
		}
		if t.For > 0 {
			text += " for " + slo.FormatDuration(t.For)
		}
		l.add("alerts.tiers."+t.Name, text)
	}
	for _, b := range s.Alerts.BudgetSpent {
		l.add("alerts.budget_spent."+b.Percent.String()+"%", b.Severity)
	}
	if n := s.Alerts.NoData; n != nil {
		l.add("alerts.no_data", fmt.Sprintf("%s after %s", n.Severity, slo.FormatDuration(n.After)))
	}
	l.add("alerts.low_traffic.min_failures", fmt.Sprint(s.Alerts.MinFailures))
	l.add("alerts.low_traffic.confidence", s.Alerts.Confidence.String())
	l.labels("alerts.page.labels.", s.Alerts.Page.Labels)
	l.labels("alerts.page.annotations.", s.Alerts.Page.Annotations)
	l.labels("alerts.ticket.labels.", s.Alerts.Ticket.Labels)
	l.labels("alerts.ticket.annotations.", s.Alerts.Ticket.Annotations)
}

// counts returns text that is the same for SLOs that count the same: how a
// selector is spaced, and the order of its matchers, is no difference.
func counts(s slo.SLO) string {
	l := listing{values: map[string]string{}}
	l.sli(s.SLI)
	for name, value := range l.values {
		l.values[name] = canonical(value)
	}
	if s.Slices != nil {
		l.add("slices", s.Slices.Length.String()+" "+s.Slices.Target.String())
	}
	for _, x := range s.Exclusions {
		l.add("exclusions."+x.Name, exclusion(x))
	}
	text, _ := json.Marshal(l.values) // strings always can be
	return string(text)
}

// canonical returns PromQL as its parser prints it, other text as it is.
func canonical(text string) string {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(text)
	if err != nil {
		return text
	}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if vs, ok := n.(*parser.VectorSelector); ok {
			slices.SortFunc(vs.LabelMatchers, func(a, b *matcher) int { return strings.Compare(a.String(), b.String()) })
		}
		return nil
	})
	return e.String()
}
