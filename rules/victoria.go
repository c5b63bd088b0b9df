package rules

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/prometheus/prometheus/model/rulefmt"
)

// failingAlert is the alert whose metric every evaluator calls otherwise.
const failingAlert = "SLORuleEvaluationFailing"

// victoriaFailing fires while vmalert fails to evaluate rules of ours: by
// counters, or by the gauges that it had until 1.87.
const victoriaFailing = `label_replace(
  (
      sum by (group) (increase({__name__=~"vmalert_(recording|alerting)_rules_errors_total",group=~"midwatch-.+"}[5m]))
    or
      sum by (group) ({__name__=~"vmalert_(recording|alerting)_rules_error",group=~"midwatch-.+"})
  )
>
  0,
  "rule_group",
  "$1",
  "group",
  "(.*)"
)`

// nativeHistogram finds the functions that read native histograms.
var nativeHistogram = regexp.MustCompile(`\bhistogram_(count|sum|avg|fraction|stddev|stdvar)\(`)

// victoria returns groups as vmalert evaluates them. It reads rule files of
// Prometheus; what differs is the name of its own metrics, and that it has
// neither query_offset nor native histograms.
func victoria(groups []rulefmt.RuleGroup) ([]rulefmt.RuleGroup, error) {
	out := slices.Clone(groups)
	for i := range out {
		for _, r := range out[i].Rules {
			if nativeHistogram.MatchString(r.Expr) {
				return nil, fmt.Errorf("%s reads a native histogram, which VictoriaMetrics does not have", sloOf(out[i]))
			}
		}
		out[i].QueryOffset = nil
		at := slices.IndexFunc(out[i].Rules, func(r rulefmt.Rule) bool { return r.Alert == failingAlert })
		if at < 0 {
			continue
		}
		out[i].Rules = slices.Clone(out[i].Rules)
		out[i].Rules[at].Expr = victoriaFailing
	}
	return out, nil
}
