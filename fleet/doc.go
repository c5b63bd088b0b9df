// Package fleet evaluates the rules of SLOs that all clusters have together:
// Prometheus' own rule manager over what the clusters recorded and what was
// recorded here before, kept in a TSDB of its own. It sees to it that a number
// is recorded only when no cluster's data was missing from it, that alerts
// outlive such times and restarts, and that each is delivered.
//
// It asks clusters through an interface, compiles no rules and pages nobody.
package fleet
