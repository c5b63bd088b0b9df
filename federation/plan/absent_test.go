package plan

import (
	"slices"
	"testing"
)

// What is pushed to clusters that have no label in common. Labels that they
// were found to lack tell them apart, but where an answer may not show that one
// of them has such a label by now, one of two does not suffice.
func TestLabelsFoundToBeAbsent(t *testing.T) {
	for query, want := range map[string][2]string{
		`load`:                          {`load`, `load`},
		`load{site="edge"}`:             {`load{site="edge"}`, `load`},
		`load{site="edge",cluster="a"}`: {`load{site="edge"}`, `load{cluster="a"}`},
		`sum(load)`:                     {`sum by (cluster, site) (load)`, `sum by (cluster, site) (load)`},
		`sum by (site) (load)`:          {`sum by (cluster, site) (load)`, `sum by (cluster, site) (load)`},
		`sum without (cluster) (load)`:  {`sum without () (load)`, `sum without () (load)`},
		`load > 1`:                      {`load > 1`, `load > 1`},
		`load and limit`:                {`load and ignoring (cluster) limit`, `load and ignoring (site) limit`},
		`load and on (pod, site) limit`: {`load`, `load`},
		`sum by (site) (load) > 1`:      {`sum by (cluster, site) (load)`, `sum by (cluster, site) (load)`},
		`load and on (cluster, site, pod) sum by (cluster, site, pod) (limit)`: {
			`load and on (site, pod) sum by (site, pod) (limit)`, `load and on (cluster, pod) sum by (cluster, pod) (limit)`,
		},
	} {
		p := planned(t, query, []Cluster{
			{Labels: map[string]string{"cluster": "a"}, Absent: []string{"site"}, Pushes: PushAll},
			{Labels: map[string]string{"site": "edge"}, Absent: []string{"cluster"}, Pushes: PushAll},
		}, hour)
		if len(p.Parts) == 0 || len(p.Parts[0].Queries) != 2 {
			t.Errorf("%s: got %+v", query, p.Parts)
			continue
		}
		for i, q := range p.Parts[0].Queries {
			if q.Text != want[i] || !slices.Contains(q.Foreign, "cluster") || !slices.Contains(q.Foreign, "site") {
				t.Errorf("%s: got %s and %q foreign, want %s", query, q.Text, q.Foreign, want[i])
			}
		}
	}
}
