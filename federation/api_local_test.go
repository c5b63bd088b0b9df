package federation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/prometheus/prometheus/util/teststorage"

	"github.com/midwatch-slo/midwatch/federation"
)

// What Midwatch itself holds is listed beside what the clusters do, with
// limits, and only to whom may see it.
func TestCatalogueOfWhatIsHeldHere(t *testing.T) {
	own := teststorage.New(t)
	load(t, own, steady("fleet:up", 2, 1))
	f := newFederation(t, federation.Config{
		Clusters: []federation.Cluster{{Name: "hangzhou", URLs: []string{serve(t, healthy(t))}}},
		Local:    []federation.Local{{Name: "fleet", Queryable: own}},
	})
	open, tenant := serve(t, f.Handler()), serve(t, bind(t, f.Handler(), `cluster="hangzhou"`, `instance="1"`))
	for _, c := range []struct{ base, path, match, limit, want string }{
		{open, "label/__name__/values", "", "", `["fleet:up","up"]`},
		{open, "label/instance/values", "fleet:up", "", `["0","1"]`},
		{open, "label/cluster/values", "fleet:up", "", `[]`},
		{open, "label/cluster/values", "", "", `["hangzhou"]`},
		{open, "labels", "fleet:up", "", `["__name__","instance"]`},
		{open, "labels", "", "1", `["__name__"],"warnings":["results truncated due to limit"]`},
		{open, "series", `{__name__=~".+",instance="1"}`, "", `[{"__name__":"fleet:up","instance":"1"},{"__name__":"up","cluster":"hangzhou","instance":"1"}]`},
		{open, "series", `{cluster=""}`, "", `match[] must contain at least one non-empty matcher`},
		{tenant, "label/__name__/values", "", "", `["up"]`},
		{tenant, "label/instance/values", "", "", `["1"]`},
		{tenant, "series", `{__name__=~".+"}`, "", `[{"__name__":"up","cluster":"hangzhou","instance":"1"}]`},
	} {
		form := url.Values{"start": {fmt.Sprint(dataStart.Unix())}}
		for name, value := range map[string]string{"match[]": c.match, "limit": c.limit} {
			if value != "" {
				form.Set(name, value)
			}
		}
		want := fmt.Sprintf(`{"status":"success","data":%s}`, c.want)
		if c.want[0] != '[' {
			want = fmt.Sprintf(`{"status":"error","errorType":"bad_data","error":"invalid parameter \"match[]\": %s"}`, c.want)
		}
		if a := ask(t, http.MethodGet, c.base, "/api/v1/"+c.path, form); a.body != want {
			t.Errorf("%s?%s\n got %s\nwant %s", c.path, form.Encode(), a.body, want)
		}
	}
}
