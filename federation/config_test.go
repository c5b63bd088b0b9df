package federation_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/federation"
)

func TestValidate(t *testing.T) {
	const doc = `
- {name: good, urls: ["http://a:9090", "https://user:hunter2@b/prometheus/"], labels: {cluster: x, region: y}, replica_labels: [replica]}
- {name: good, urls: ["http://a"]}
- {urls: []}
- {name: bad-urls, urls: ["ftp://user:hunter2@a", "http://", "http://user:hunter2@a:b c", "http://a?x=1", "http://a", "http://a/", "a", "http://a/x/api/v1", "http://a:99999"]}
- {name: bad-labels, urls: ["http://a"], labels: {__name__: x, "": x, empty: ""}, replica_labels: [empty, ""]}
- {name: twin, urls: ["http://a"], labels: {region: y, cluster: x}}
- {name: x, urls: ["http://a"]}
- {name: y, urls: ["http://a"], labels: {cluster: x}}
`
	want := []string{
		`clusters.1.name: cluster "good" is given twice (the first is clusters.0)`,
		`clusters.2.name: a cluster needs a name`,
		`clusters.2.urls: cluster "" needs at least one URL (such as http://prometheus:9090)`,
		`clusters.3.urls.0: scheme "ftp" is neither http nor https`,
		`clusters.3.urls.1: no host`,
		`clusters.3.urls.2: not a URL`,
		`clusters.3.urls.3: a query or a fragment has no place here`,
		`clusters.3.urls.5: this URL is given twice`,
		`clusters.3.urls.6: neither http:// nor https:// is in front`,
		`clusters.3.urls.7: /api/v1 is put behind the URL for each request (want what comes before it, such as http://host:port)`,
		`clusters.3.urls.8: port 99999 is not one of 1 to 65535`,
		`clusters.4.labels: "" is not a label name`,
		`clusters.4.labels: "__name__" is not a label name`,
		`clusters.4.labels.empty: an external label needs a value (leave the label out)`,
		`clusters.4.replica_labels.0: label "empty" is an external label too (keep it in labels or in replica_labels)`,
		`clusters.4.replica_labels.1: "" is not a label name`,
		`clusters.4.replica_labels.1: label "" is an external label too (keep it in labels or in replica_labels)`,
		`clusters.5.labels: clusters "good" and "twin" have the same external labels {cluster="x", region="y"} (labels tell clusters apart; replicas of one cluster go into its urls)`,
		`clusters.7.labels: clusters "x" and "y" have the same external labels {cluster="x"} (labels tell clusters apart; replicas of one cluster go into its urls)`,
	}
	var clusters []federation.Cluster
	if err := yaml.Unmarshal([]byte(doc), &clusters); err != nil {
		t.Fatal(err)
	}
	err := federation.Validate(clusters)
	if err == nil {
		t.Fatal("got no error")
	}
	got := strings.Split(strings.ReplaceAll(err.Error(), " (want http://host:port or https://host:port, with a path if the Prometheus has one)", ""), "\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Error("an error has the password")
	}
	if err := federation.Validate(clusters[:1]); err != nil {
		t.Errorf("a good cluster: got %v", err)
	}
}
