package federation_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/federation"
)

// canned is a Prometheus that answers the same to every query: n series of
// one value at an hour.
func canned(n int) http.Handler {
	var b strings.Builder
	b.WriteString(`{"status":"success","data":{"resultType":"vector","result":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"metric":{"app":"service-%d","instance":"10.0.%d.%d:8080","job":"kubernetes-pods","method":"GET","namespace":"production","path":"/api/v1/orders","status":"%d"},"value":[%d,"%v"]}`,
			i%100, i/250, i%250, 200+i%5, at(time.Hour).Unix(), float64(i)/7)
	}
	b.WriteString(`]}}`)
	body := []byte(b.String())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/buildinfo") {
			_, _ = io.WriteString(w, `{"status":"success","data":{"version":"3.15.0"}}`)
			return
		}
		_, _ = w.Write(body) // at once, as Prometheus does
	})
}

// BenchmarkParts measures what a query costs here, over clusters that answer
// without any effort.
func BenchmarkParts(b *testing.B) {
	for name, c := range map[string]struct {
		series int
		query  string
	}{
		"small": {10, `sum by (app) (rate(http_requests_total[5m]))`},
		"burn":  {10, `sum(rate(e[5m])) / sum(rate(t[5m])) > 0.1 and sum(rate(e[1h])) / sum(rate(t[1h])) > 0.1`},
		"large": {30_000, `quantile by (app) (0.9, rate(http_requests_total[5m]))`},
	} {
		b.Run(name, func(b *testing.B) {
			var clusters []federation.Cluster
			for i := range 3 {
				clusters = append(clusters, federation.Cluster{Name: fmt.Sprint("c", i), URLs: []string{serve(b, canned(c.series))}, Compression: "none"})
			}
			fed := newFederation(b, federation.Config{Clusters: clusters})
			b.ReportAllocs()
			for b.Loop() {
				if _, notes, err := fed.Instant(b.Context(), c.query, at(time.Hour)); err != nil || len(notes) > 0 {
					b.Fatal(notes, err)
				}
			}
		})
	}
}
