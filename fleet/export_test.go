package fleet

import (
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
