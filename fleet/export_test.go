package fleet

import (
	"time"

	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// Asks returns what each group asks the clusters.
func Asks(groups []rulefmt.RuleGroup, slos []string) (map[string][]string, error) {
	p, err := newProgram(parser.NewParser(parser.Options{}), groups, slos)
	if err != nil {
		return nil, err
	}
	return p.asks, nil
}

// Slept returns of evaluations at some times, in order, which came after the
// group had not been evaluated for long.
func Slept(interval time.Duration, times ...time.Time) (out []time.Time) {
	var e evaluations
	for _, at := range times {
		if _, slept := e.slept("group", interval, at); slept {
			out = append(out, at)
		}
		e.note("group", at, true)
	}
	return out
}
