package rules

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// What Loki's ruler records of log lines, as lines a second of the last
// minute, once a minute.
const (
	logErrors = "slo:log_errors:rate1m"
	logGood   = "slo:log_good:rate1m"
	logTotal  = "slo:log_total:rate1m"
	logEvery  = time.Minute
)

// The times by which what is recorded of logs is late: lines that reach Loki
// after others of their time, and samples that Loki sends to Prometheus.
const (
	lateLines   = 10 * time.Second
	lateSamples = 30 * time.Second
)

// logRules adds the file for Loki's ruler, if any SLO counts log lines.
func (c *compiler) logRules(slos []slo.SLO) {
	var groups []rulefmt.RuleGroup
	for _, s := range slos {
		if s.SLI.Logs == nil {
			continue
		}
		rules := []rulefmt.Rule{logRule(s, logTotal, s.SLI.Logs.Total)}
		if s.SLI.Logs.Good != "" {
			rules = append(rules, logRule(s, logGood, s.SLI.Logs.Good))
		} else {
			rules = append(rules, logRule(s, logErrors, s.SLI.Logs.Errors))
		}
		groups = append(groups, group("logs/"+s.ID(), logEvery, rules...))
	}
	if len(groups) > 0 {
		c.files = append(c.files, File{Name: LokiFolder + "/" + prefix + "logs.yaml", Groups: groups})
	}
}

// logRule returns a rule of Loki's ruler. The query is LogQL, checked when the
// SLO was read; a comment in it ends with its line.
func logRule(s slo.SLO, name, query string) rulefmt.Rule {
	if strings.Contains(query, "#") {
		query += "\n"
	}
	by := ""
	if len(s.GroupBy) > 0 {
		by = " by (" + strings.Join(s.GroupBy, ", ") + ") "
	}
	return rulefmt.Rule{
		Record: name,
		Expr:   fmt.Sprintf("sum%s(rate(%s [%s] offset %s))", by, query, model.Duration(logEvery), model.Duration(lateLines)),
		Labels: map[string]string{"slo": s.Name, "service": s.Service},
	}
}

// logged are log lines that Loki has counted.
type logged struct {
	own  identified
	good bool // good lines are counted, not failures
}

func newLogged(l slo.LogEvents, own identified) logged {
	return logged{own: own, good: l.Good != ""}
}

// rate returns the lines a second over d. A minute without a sample had none.
// Below five minutes it is the last minute, so that every sample counts for as
// many evaluations.
func (l logged) rate(name string, d time.Duration) parser.Expr {
	vs := ago(l.own.ownSeries(name), lateSamples)
	if d < edge {
		return maxBy(l.own.groups, call("last_over_time", over(vs, logEvery)))
	}
	return div(maxBy(l.own.groups, call("sum_over_time", over(vs, d))), num(float64(d/logEvery)))
}

func (l logged) total(d time.Duration) parser.Expr { return l.rate(logTotal, d) }

func (l logged) failed(d time.Duration, total parser.Expr) parser.Expr {
	none := mul(num(0), total)
	if !l.good {
		return either(l.rate(logErrors, d), none)
	}
	return call("clamp_min", sub(total, either(l.rate(logGood, d), none)), num(0))
}

func (l logged) share(d time.Duration) parser.Expr {
	busy := above(l.total(d), num(0))
	if !l.good {
		return div(l.rate(logErrors, d), busy)
	}
	return missing(div(l.rate(logGood, d), busy), busy)
}

func (l logged) seen() parser.Expr {
	return aggregate(parser.GROUP, l.own.groups, l.own.ownSeries(logTotal))
}
