// Package federation makes many Prometheus answer as one.
//
// Its promise: an answer is what a single Prometheus holding every cluster's
// series, each with the cluster's configured external labels, would give; and
// where part of the data is missing, the answer says which part.
//
// The largest parts of a query that never merge series of different clusters
// run in the clusters, as plan cuts them; the rest is evaluated on Prometheus'
// own engine over their answers, in which a part has a value at each step where
// the cluster had one, and nowhere else. Where the answers show that this may
// not be what one Prometheus would give, the query runs once more over raw
// samples, which are fetched by remote read, so that staleness markers and
// native histograms arrive exactly.
//
// The package stores nothing and evaluates no rules.
package federation
