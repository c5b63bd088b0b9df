package federation

import (
	"errors"
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
