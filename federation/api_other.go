package federation

import (
	"fmt"
	"net/http"

	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/features"
)

// refused returns the paths of Prometheus' API that are not served, and why.
func refused() map[string]string {
	const (
		ofOne   = "it is of one server: ask that one"
		written = "write to a cluster: what it holds is read through here"
		held    = "ask the server that holds the samples"
	)
	return map[string]string{
		"scrape_pools/config":         ofOne,
		"targets/relabel_steps":       ofOne,
		"status/tsdb/blocks":          ofOne,
		"status/self_metrics":         "Midwatch's own metrics are at /metrics",
		"openapi.yaml":                "it is that of Prometheus " + apiVersion + ", less what is refused",
		"read":                        "ask by queries, or read from a cluster",
		"write":                       written,
		"otlp/v1/metrics":             written,
		"admin/tsdb/delete_series":    held,
		"admin/tsdb/clean_tombstones": held,
		"admin/tsdb/snapshot":         held,
	}
}

// refusal answers that a path is not served, and why.
func refusal(path, why string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		respondError(w, http.StatusNotFound, "not_found", fmt.Sprintf("federation does not serve %s: %s", path, why))
	})
}

// withFeatures adds what the API can to a registry of what queries can.
func withFeatures(r features.Collector) features.Collector {
	for name, served := range map[string]bool{
		"label_values_match": true, "query_warnings": true, "query_stats": true, "time_range_series": true, "time_range_labels": true,
		"exclude_alerts": true, "admin": false, "lifecycle": false, "openapi_3.1": false, "openapi_3.2": false,
		"remote_write_receiver": false, "otlp_write_receiver": false, "search": false,
	} {
		r.Set(features.API, name, served)
	}
	return r
}

// notifications are those of Prometheus to who looks at its pages: none.
func notifications(*http.Request) (any, annotations.Annotations, error) { return []string{}, nil, nil }

// noContent answers with nothing, as Prometheus does where it allows no other
// origin, and where it lets nobody wait for notifications.
func noContent(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

// walReplay is that of a Prometheus which has read its log: here is none.
func walReplay(*http.Request) (any, annotations.Annotations, error) {
	return map[string]int{"min": 0, "max": 0, "current": 0}, nil, nil
}
