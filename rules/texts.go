package rules

import (
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// The labels and annotations that SLOs give their alerts ride on parameters:
// labels on all of them, and those of some severities alone on the thresholds
// of these; annotations as labels of a series of their own, which alerts look
// up when they fire. So there is one rule for all SLOs, and no text of an SLO
// is ever part of a template.

// ownLabels returns the labels that all alerts of an SLO carry.
func ownLabels(s slo.SLO) map[string]string {
	out := maps.Clone(s.Labels)
	if out == nil {
		out = map[string]string{}
	}
	for name, value := range map[string]string{"owner": s.Owner, "team": s.Team} {
		if value != "" {
			out[name] = value
		}
	}
	return out
}

// texts returns the series of an SLO's annotations, if it has any: one, or
// one for those that page and one for the others.
func texts(s slo.SLO) []parser.Expr {
	_, page := alertTexts(s, "P1")
	_, ticket := alertTexts(s, "P3")
	if maps.Equal(page, ticket) {
		return textSeries(parameterText, page)
	}
	return append(textSeries(parameterPageText, page), textSeries(parameterTicketText, ticket)...)
}

func textSeries(parameter string, annotations map[string]string) []parser.Expr {
	if len(annotations) == 0 {
		return nil
	}
	e := constant(big.NewRat(1, 1), "parameter", parameter)
	for _, name := range slices.Sorted(maps.Keys(annotations)) {
		e = labelled(e, name, annotations[name])
	}
	return []parser.Expr{e}
}

// carried are the names of the labels and annotations of any SLO's alerts.
type carried struct {
	labels, annotations []string
	special             bool // annotations of some SLO differ between pages and tickets
	// Labels by which some SLO groups: another's label of that name must not
	// take them away.
	contested []string
	own       [][]string // contested labels that SLOs have themselves, each set once
}

func carriedBy(slos []slo.SLO) carried {
	var out carried
	labelNames, annotations, groups := map[string]bool{}, map[string]bool{}, map[string]bool{}
	note := func(names map[string]bool, texts ...map[string]string) {
		for _, of := range texts {
			for name := range of {
				names[name] = true
			}
		}
	}
	for i := range slos {
		s := &slos[i]
		out.special = out.special || len(s.Alerts.Page.Annotations)+len(s.Alerts.Ticket.Annotations) > 0
		note(labelNames, s.Labels, s.Alerts.Page.Labels, s.Alerts.Ticket.Labels)
		note(annotations, s.Annotations, s.Alerts.Page.Annotations, s.Alerts.Ticket.Annotations)
		if s.Owner != "" {
			labelNames["owner"] = true
		}
		if s.Team != "" {
			labelNames["team"] = true
		}
		if s.Runbook != "" {
			annotations["runbook_url"] = true
		}
		for _, name := range s.GroupBy {
			groups[name] = true
		}
	}
	out.labels, out.annotations = slices.Sorted(maps.Keys(labelNames)), slices.Sorted(maps.Keys(annotations))
	for _, name := range out.labels {
		if groups[name] {
			out.contested = append(out.contested, name)
		}
	}
	if len(out.contested) > 0 {
		out.own = out.ownSets(slos)
	}
	return out
}

// ownSets returns the sets of contested labels that alerts of SLOs carry.
func (k carried) ownSets(slos []slo.SLO) [][]string {
	sets := map[string][]string{}
	for _, s := range slos {
		for _, severity := range []string{"P1", "P3"} {
			l, _ := alertTexts(s, severity)
			var own []string
			for _, name := range k.contested {
				if l[name] != "" {
					own = append(own, name)
				}
			}
			sets[fmt.Sprint(own)] = own
		}
	}
	var out [][]string
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		out = append(out, sets[key])
	}
	return out
}

// carrying joins what fires with the parameter above which it does, from
// which it takes the SLO's labels. Of two parameters of one SLO, as there are
// for a moment when a label of it was edited, it is one.
func (c *compiler) carrying(e parser.Expr, one *parser.VectorSelector) parser.Expr {
	if len(c.carried.own) == 0 {
		return carry(e, one, c.carried.labels)
	}
	var arms []parser.Expr
	for _, own := range c.carried.own {
		part := *one
		part.LabelMatchers = slices.Clone(one.LabelMatchers)
		names := slices.Clone(c.carried.labels)
		for _, name := range c.carried.contested {
			m := ne(name, "")
			if !slices.Contains(own, name) {
				m = eq(name, "")
				names = slices.DeleteFunc(names, func(n string) bool { return n == name })
			}
			part.LabelMatchers = append(part.LabelMatchers, m)
		}
		arms = append(arms, carry(e, &part, names))
	}
	return chain(parser.LOR, arms...)
}

// carry keeps what is above its parameter, with labels of that.
func carry(e parser.Expr, one *parser.VectorSelector, names []string) parser.Expr {
	if len(names) == 0 {
		return onIdentity(parser.GTE, e, maxBy(identity(), onIdentity(parser.LAND, one, e)))
	}
	// To order the parameters of what fires alone costs nothing when nothing does.
	few := onIdentity(parser.LAND, one, e)
	top := &parser.AggregateExpr{Op: parser.TOPK, Param: num(1), Expr: few, Grouping: identity()}
	b := onIdentity(parser.GTE, e, top).(*parser.BinaryExpr)
	b.VectorMatching.Include = names
	return b
}

// annotations returns the annotations of an alert at a severity: ours, unless
// the SLO has its own of the name, and the SLO's.
func (c *compiler) annotations(severity, summary, description string) map[string]string {
	out := map[string]string{"summary": summary, "description": description}
	for _, name := range c.carried.annotations {
		out[name] = lookUp(c.textParameters(severity), name, out[name])
	}
	return out
}

// textParameters is the series of an SLO's annotations of alerts at a
// severity.
func (c *compiler) textParameters(severity string) *parser.VectorSelector {
	special := parameterTicketText
	if pages(severity) {
		special = parameterPageText
	}
	if !c.carried.special {
		return series(parameterSeries, eq("parameter", parameterText))
	}
	return series(parameterSeries, labels.MustNewMatcher(labels.MatchRegexp, "parameter", parameterText+"|"+special))
}

// lookUp returns a template of what a label says of the series that the
// alert's SLO has, or else something else. What it says is not read as a
// template again.
func lookUp(vs *parser.VectorSelector, label, otherwise string) string {
	query := fmt.Sprintf("%q", vs.String())
	query = query[:len(query)-2] + `,service=%q,slo=%q}"` // the selector ends with a brace and a quote
	query = fmt.Sprintf("{{ with query (printf %s $labels.service $labels.slo) }}", query)
	if otherwise == "" {
		return query + fmt.Sprintf("{{ . | first | label %q }}{{ end }}", label)
	}
	return fmt.Sprintf(`{{ $own := "" }}%s{{ $own = . | first | label %q }}{{ end }}{{ if $own }}{{ $own }}{{ else }}%s{{ end }}`, query, label, otherwise)
}
