package federation

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

// maxNotes is how many infos a Prometheus tells; of more it leaves some out.
const maxNotes = 10

// note is something that a cluster noted about the user's query, as the engine
// would have noted it here.
type note struct {
	kind  error // annotations.PromQLInfo
	text  string
	at    posrange.PositionRange
	query string
}

// Error returns the text, with the place once the query is known.
func (n *note) Error() string {
	if n.query == "" {
		return n.text
	}
	return fmt.Sprintf("%s (%s)", n.text, n.at.StartPosInput(n.query, 0))
}

// Unwrap returns the kind.
func (n *note) Unwrap() error { return n.kind }

// SetQuery sets the query in which the place is.
func (n *note) SetQuery(query string) { n.query = query }

// Merge returns n: notes of the same text are one.
func (n *note) Merge(error) error { return n }

// placed returns what clusters noted of a part, at the places of the user's
// query. Where that cannot be told, the plan does not hold: a warning, which
// may be about one cluster's groups that are only parts of groups; notes that
// several clusters made at different places, or of which some are left out,
// or whose text is to be merged.
func placed(pieces []*piece, p parser.Parser) (annotations.Annotations, error) {
	var out annotations.Annotations
	for _, one := range pieces {
		if len(one.answer.Warnings) == 0 && len(one.answer.Infos) == 0 {
			continue
		}
		unheld := unheldError{why: Annotated, cluster: one.cluster, text: one.query.Text}
		if len(one.answer.Warnings) > 0 || len(one.answer.Infos) > maxNotes {
			return nil, unheld
		}
		origins, err := one.query.Origins(p)
		if err != nil {
			return nil, unheld
		}
		for _, info := range one.answer.Infos {
			n, ok := place(info, origins)
			if !ok {
				return nil, unheld
			}
			if other, ok := out[n.text].(*note); ok && other.at != n.at {
				return nil, unheld
			}
			out.Add(n)
		}
	}
	return out, nil
}

// place reads an info, which ends with the line and the column of the text
// that was sent, and places it in the query that the user wrote.
func place(info string, origins map[posrange.Pos]posrange.Pos) (*note, bool) {
	text, end, ok := cutLast(info, " (")
	if !ok || !separate(text) {
		return nil, false
	}
	column, ok := strings.CutPrefix(strings.TrimSuffix(end, ")"), "1:")
	if !ok {
		return nil, false
	}
	n, err := strconv.Atoi(column)
	if err != nil {
		return nil, false
	}
	at, ok := origins[posrange.Pos(n-1)]
	if !ok {
		return nil, false
	}
	return &note{kind: annotations.PromQLInfo, text: text, at: posrange.PositionRange{Start: at, End: at}}, true
}

// separate tells whether an info is one that the engine here could have made
// of the same series, however many there are of others.
func separate(text string) bool {
	for _, one := range []error{
		annotations.PossibleNonCounterInfo, annotations.HistogramIgnoredInAggregationInfo,
		annotations.HistogramIgnoredInMixedRangeInfo, annotations.IncompatibleTypesInBinOpInfo,
	} {
		if strings.HasPrefix(text, one.Error()) {
			return true
		}
	}
	return false
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
