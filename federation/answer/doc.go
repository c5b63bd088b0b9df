// Package answer decodes what a Prometheus answers to /api/v1/query and
// /api/v1/query_range, as it arrives: instant vectors and matrices of floats,
// with the warnings and infos that come with them.
//
// It gives every series the labels that it is asked to, and says of an answer
// whether it can stand for a part of a larger query: one that holds a native
// histogram (of which JSON tells less than there is), a label that must not be
// there or a sum near overflow does not.
//
// It sends nothing, reads no scalars, strings or histograms, and believes
// nothing: every byte is hostile until it has been looked at.
package answer
