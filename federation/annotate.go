package federation

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/parser/posrange"
	"github.com/prometheus/prometheus/util/annotations"
)

const (
	// maxNotes is how many warnings, and infos, a Prometheus tells; of more it
	// leaves some out.
	maxNotes = 10
	// maxNoteBytes bounds a text; it may name a metric.
	maxNoteBytes = 1024
)

// note is something that a cluster noted about the user's query, as the engine
// would have noted it here.
type note struct {
	kind  error // annotations.PromQLInfo or PromQLWarning
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

// forced is the note that histograms were made monotonic, which tells of all
// of them.
type forced struct {
	note
	low, high, diff float64 // from which bucket to which, and by how much at most
	samples         int
	since, until    string // times as RFC 3339 writes them, in UTC
}

// Error returns the text, with the place once the query is known.
func (f *forced) Error() string {
	if f.query == "" {
		return f.text
	}
	return fmt.Sprintf("%s, from buckets %g to %g, with a max diff of %.2g, over %d samples from %s to %s (%s)",
		f.text, f.low, f.high, f.diff, f.samples, f.since, f.until, f.at.StartPosInput(f.query, 0))
}

// Merge returns what tells of the histograms of both.
func (f *forced) Merge(other error) error {
	o, ok := errors.AsType[*forced](other)
	if !ok {
		return f
	}
	out := *f
	out.low, out.high, out.diff = min(f.low, o.low), max(f.high, o.high), max(f.diff, o.diff)
	out.samples += o.samples
	out.since, out.until = min(f.since, o.since), max(f.until, o.until)
	return &out
}

// placed returns what clusters noted of a part, at the places of the user's
// query. Where that cannot be told, the plan does not hold: a warning of
// partial sums, which may be about groups that another cluster has too; notes
// of the same text at different places, or of which some are left out, or
// that the engine here would not have made.
func placed(pieces []*piece, p parser.Parser) (annotations.Annotations, error) {
	var out annotations.Annotations
	for _, one := range pieces {
		a := one.answer
		if len(a.Warnings) == 0 && len(a.Infos) == 0 {
			continue
		}
		unheld := unheldError{why: Annotated, cluster: one.cluster, text: one.query.Text}
		if len(a.Warnings) > 0 && one.query.Sums || len(a.Warnings) > maxNotes || len(a.Infos) > maxNotes {
			return nil, unheld
		}
		origins, err := one.query.Origins(p)
		if err != nil {
			return nil, unheld
		}
		for _, text := range slices.Concat(a.Warnings, a.Infos) {
			n, ok := place(text, origins)
			if !ok || !agrees(out[n.Error()], n, one.instant) {
				return nil, unheld
			}
			out.Add(n)
		}
	}
	return out, nil
}

// placedNote is a note, or one that tells more.
type placedNote interface {
	error
	place() posrange.PositionRange
}

func (n *note) place() posrange.PositionRange { return n.at }

// agrees tells whether two notes of the same text, of which there may be only
// one, make one: they must be at the same place. Over a range, Prometheus
// counts samples again at each step when it tells of all histograms.
func agrees(other error, n placedNote, instant bool) bool {
	known, ok := errors.AsType[placedNote](other)
	if !ok {
		return true
	}
	_, tellsAll := n.(*forced)
	return known.place() == n.place() && (instant || !tellsAll)
}

// place reads a note, which ends with the line and the column of the text that
// was sent, and places it in the query that the user wrote.
func place(text string, origins map[posrange.Pos]posrange.Pos) (placedNote, bool) {
	text, end := cutLast(text, " (1:")
	column, err := strconv.Atoi(strings.TrimSuffix(end, ")"))
	if err != nil || len(text) > maxNoteBytes {
		return nil, false
	}
	at, ok := origins[posrange.Pos(column-1)]
	if !ok {
		return nil, false
	}
	n := note{text: text, at: posrange.PositionRange{Start: at, End: at}}
	if strings.HasPrefix(text, annotations.HistogramQuantileForcedMonotonicityInfo.Error()) {
		return toForced(n)
	}
	n.kind = noteKind(text)
	return &n, n.kind != nil
}

// toForced reads what a note tells of all histograms.
func toForced(n note) (placedNote, bool) {
	text, rest := cutLast(n.text, ", from buckets ")
	n.text, n.kind = text, annotations.PromQLInfo
	f := &forced{note: n}
	read, err := fmt.Sscanf(rest, "%g to %g, with a max diff of %g, over %d samples from %s to %s",
		&f.low, &f.high, &f.diff, &f.samples, &f.since, &f.until)
	return f, err == nil && read == 6 && isTime(f.since) && isTime(f.until)
}

func isTime(s string) bool {
	_, err := time.Parse(time.RFC3339, s)
	return err == nil && strings.HasSuffix(s, "Z")
}

// noteKind returns whether a text is an info or a warning, and nil when it is
// none that the engine here could have made of the same series, however many
// there are of others.
func noteKind(text string) error {
	for _, one := range []error{
		annotations.InvalidQuantileWarning, annotations.BadBucketLabelWarning, annotations.MixedFloatsHistogramsWarning,
		annotations.MixedClassicNativeHistogramsWarning, annotations.NativeHistogramNotCounterWarning,
		annotations.NativeHistogramNotGaugeWarning, annotations.MixedExponentialCustomHistogramsWarning,
		annotations.IncompatibleBucketLayoutInBinOpWarning, annotations.HistogramCounterResetCollisionWarning,
	} {
		if strings.HasPrefix(text, one.Error()) {
			return annotations.PromQLWarning
		}
	}
	for _, one := range []error{
		annotations.PossibleNonCounterInfo, annotations.IncompatibleTypesInBinOpInfo, annotations.HistogramIgnoredInAggregationInfo,
		annotations.HistogramIgnoredInMixedRangeInfo, annotations.NativeHistogramQuantileNaNResultInfo,
		annotations.NativeHistogramQuantileNaNSkewInfo, annotations.NativeHistogramFractionNaNsInfo,
		annotations.MismatchedCustomBucketsHistogramsInfo,
	} {
		if strings.HasPrefix(text, one.Error()) {
			return annotations.PromQLInfo
		}
	}
	return nil
}

// shadowed tells whether a note that tells of all histograms was made here as
// well as in a cluster, in which case one of the two was lost.
func shadowed(all annotations.Annotations, clusters map[string]bool) bool {
	for text := range clusters {
		if _, ok := errors.AsType[*forced](all[text]); !ok {
			return true
		}
	}
	return false
}

// ofServers returns warnings of PromQL, and whether there were others: those a
// server has of its own, which are about data that is missing from its answer.
func ofServers(warnings []string) (promQL []string, others bool) {
	for _, text := range warnings {
		if strings.HasPrefix(text, annotations.PromQLWarning.Error()) || strings.HasSuffix(text, " annotations omitted") {
			promQL = append(promQL, text)
		} else {
			others = true
		}
	}
	return promQL, others
}

// cutLast cuts a text around the last sep in it.
func cutLast(s, sep string) (before, after string) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+len(sep):]
}
