package federation

import (
	"errors"
	"fmt"
	"maps"

	"github.com/prometheus/prometheus/util/annotations"
)

// missingError is the warning that data of clusters is missing.
type missingError struct {
	text     string
	clusters map[string]string
}

// Error names the clusters, each with its cause.
func (e *missingError) Error() string { return e.text }

// Missing returns the clusters that an answer is without, each with its cause,
// by the annotations of its result: also of one that is an error because no
// cluster answered. It is nil when none is missing.
func Missing(of annotations.Annotations) map[string]string {
	for _, err := range of {
		if missing, ok := errors.AsType[*missingError](err); ok {
			return maps.Clone(missing.clusters)
		}
	}
	return nil
}

// doubtError is the warning that data of a cluster may be missing.
type doubtError struct{ cluster, text string }

// Error names the cluster and the reason.
func (e *doubtError) Error() string {
	return fmt.Sprintf("data of cluster %q may be missing from this answer: %s", e.cluster, e.text)
}

// Doubtful returns the clusters that answered and whose data may be missing
// all the same, each with the reason, by the annotations of a result: those of
// which one replica alone answers, and is known to lack some. It is nil when
// there is none.
func Doubtful(of annotations.Annotations) map[string]string {
	var out map[string]string
	for _, err := range of {
		if doubt, ok := errors.AsType[*doubtError](err); ok {
			if out == nil {
				out = map[string]string{}
			}
			out[doubt.cluster] = doubt.text
		}
	}
	return out
}
