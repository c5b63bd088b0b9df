package plan

import (
	"maps"
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// names is a set of labels that are known in some cluster, as bits.
type names uint64

// maxNames is how many labels a names can hold.
const maxNames = 64

// members is a set of clusters, by index.
type members []bool

// any tells whether the set has a cluster that is so.
func (m members) any(so func(i int) bool) bool {
	for i, in := range m {
		if in && so(i) {
			return true
		}
	}
	return false
}

func always(int) bool { return true }

func (m members) only(keep func(i int) bool) members {
	out := make(members, len(m))
	for i, in := range m {
		out[i] = in && keep(i)
	}
	return out
}

func (m members) and(o members) members { return m.only(func(i int) bool { return o[i] }) }

func (m members) or(o members) members {
	out := slices.Clone(m)
	for i, in := range o {
		out[i] = out[i] || in
	}
	return out
}

// fleet is the clusters and what tells them apart.
type fleet struct {
	clusters []Cluster
	bit      map[string]names // label → its bit
	known    []names          // by cluster: external, dropped or absent
	set      []names          // by cluster: external or dropped, whatever its series have
	external []names          // by cluster
	replaced [][]string       // by cluster: external or dropped
	foreign  [][]string       // by cluster: labels that no series of it has itself
	like     []int            // by cluster: the first that knows the same labels
	apart    [][]names        // by two clusters: labels known in both with different values
}

func newFleet(clusters []Cluster) *fleet {
	f := &fleet{clusters: clusters, bit: map[string]names{}}
	for _, c := range clusters {
		var known, dropped, external names
		for name := range c.Labels {
			external |= f.add(name)
		}
		for _, name := range c.Dropped {
			dropped |= f.add(name)
		}
		for _, name := range c.Absent {
			known |= f.add(name)
		}
		f.known = append(f.known, known|dropped|external)
		f.set = append(f.set, dropped|external)
		f.external = append(f.external, external)
		f.replaced = append(f.replaced, foreign(c))
		f.foreign = append(f.foreign, union(foreign(c), c.Absent))
	}
	for i := range clusters {
		like := i
		for j := range i {
			if like == i && f.set[i] == f.set[j] && slices.Equal(f.foreign[i], f.foreign[j]) {
				like = j
			}
		}
		f.like = append(f.like, like)
	}
	f.apart = make([][]names, len(clusters))
	for i := range clusters {
		f.apart[i] = make([]names, len(clusters))
		for j := range i {
			f.apart[i][j] = f.differences(i, j)
			f.apart[j][i] = f.apart[i][j]
		}
	}
	return f
}

func (f *fleet) add(name string) names {
	bit, ok := f.bit[name]
	if !ok && len(f.bit) < maxNames {
		bit = 1 << len(f.bit)
	}
	f.bit[name] = bit
	return bit
}

// differences returns the labels that are known in two clusters and differ.
func (f *fleet) differences(i, j int) names {
	var out names
	for name, bit := range f.bit {
		if f.known[i]&f.known[j]&bit != 0 && f.clusters[i].Labels[name] != f.clusters[j].Labels[name] {
			out |= bit
		}
	}
	return out
}

// plannable tells whether anything can be planned over these clusters: labels
// that mean something to PromQL must not be external ones.
func (f *fleet) plannable() bool {
	for _, name := range []string{model.MetricNameLabel, model.BucketLabel, "quantile", "__type__", "__unit__"} {
		if _, known := f.bit[name]; known {
			return false
		}
	}
	return len(f.clusters) > 0 && len(f.bit) <= maxNames
}

// bits returns those of a list of labels that are known in some cluster.
func (f *fleet) bits(list []string) names {
	var out names
	for _, name := range list {
		out |= f.bit[name]
	}
	return out
}

func (f *fleet) all() names {
	var out names
	for _, known := range f.known {
		out |= known
	}
	return out
}

// take tells whether all clusters of a set can be sent what needs that.
func (f *fleet) take(in members, needs Pushes) bool {
	return !in.any(func(i int) bool { return f.clusters[i].Pushes < needs })
}

func (f *fleet) unclean(i int) bool { return f.clusters[i].Unclean }

// knownIn returns the labels that are known in some cluster of a set.
func (f *fleet) knownIn(in members) names {
	var out names
	for i, ok := range in {
		if ok {
			out |= f.known[i]
		}
	}
	return out
}

// setInAll returns the labels that are set for every cluster of a set.
func (f *fleet) setInAll(in members) names {
	out := f.all()
	for i, ok := range in {
		if ok {
			out &= f.set[i]
		}
	}
	return out
}

// distinct tells whether series of any two clusters of a and b differ in one
// of the labels kept.
func (f *fleet) distinct(a, b members, kept names) bool {
	for i := range a {
		for j := range b {
			if i != j && a[i] && b[j] && f.apart[i][j]&kept == 0 {
				return false
			}
		}
	}
	return true
}

// surely tells whether series of any two clusters of a and b differ in one of
// the labels kept even if one of the two has series with a label that it
// lacked.
func (f *fleet) surely(a, b members, kept names) bool {
	for i := range a {
		for j := range b {
			apart := f.apart[i][j] & kept
			if i != j && a[i] && b[j] && apart&f.set[i]&f.set[j] == 0 && (apart&f.set[i] == 0 || apart&f.set[j] == 0) {
				return false
			}
		}
	}
	return true
}

// pick returns the matchers that cluster i is sent, and whether it can have
// series that match. Matchers on labels that are set for it are decided here.
func (f *fleet) pick(i int, matchers []*labels.Matcher) ([]*labels.Matcher, bool) {
	var send []*labels.Matcher
	for _, m := range matchers {
		if f.bit[m.Name]&f.set[i] == 0 {
			send = append(send, m)
		} else if !m.Matches(f.clusters[i].Labels[m.Name]) {
			return nil, false
		}
	}
	return send, true
}

// matching returns the clusters that can have series that match.
func (f *fleet) matching(v *parser.VectorSelector) members {
	out := make(members, len(f.clusters))
	for i := range f.clusters {
		_, out[i] = f.pick(i, v.LabelMatchers)
	}
	return out
}

// foreign returns the labels that are set for a cluster: no series of it
// should have them itself.
func foreign(c Cluster) []string {
	out := slices.Concat(slices.Collect(maps.Keys(c.Labels)), c.Dropped)
	slices.Sort(out)
	return slices.Compact(out)
}

// given returns those external labels of cluster i that are kept.
func (f *fleet) given(i int, kept names) map[string]string {
	out := map[string]string{}
	for name, value := range f.clusters[i].Labels {
		if f.bit[name]&kept != 0 {
			out[name] = value
		}
	}
	return out
}
