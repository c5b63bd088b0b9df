// Package federation makes many Prometheus answer as one.
//
// Its promise: an answer is what a single Prometheus holding every cluster's
// series, each with the cluster's configured external labels, would give; and
// where part of the data is missing, the answer says which part.
//
// Raw samples are fetched by remote read, so that staleness markers and native
// histograms arrive exactly, and are evaluated on Prometheus' own engine. The
// package stores nothing, evaluates no rules and pushes nothing down into the
// clusters.
package federation
