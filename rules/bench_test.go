package rules

import (
	"fmt"
	"testing"

	"github.com/midwatch-slo/midwatch/slo"
)

// BenchmarkRulesOfSLOs makes the rules of 5,000 SLOs, without those over all
// of them.
func BenchmarkRulesOfSLOs(b *testing.B) {
	const n = 5000
	var slos []slo.SLO
	for i := range n {
		text := fmt.Sprintf(`
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: slo-%[1]d}
spec:
  service: service-%[2]d
  objective: 99.9
  sli: {events: {errors: 'http_requests_total{job="service-%[2]d",handler="/%[1]d",code=~"5.."}', total: 'http_requests_total{job="service-%[2]d",handler="/%[1]d"}'}}
`, i, i/10)
		s, err := slo.Parse("slo.yaml", []byte(text))
		if err != nil {
			b.Fatal(err)
		}
		slos = append(slos, s...)
	}
	o := Options{}
	if err := o.defaults(); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c := compiler{o: o, burst: burst(o)}
		for _, s := range slos {
			if err := c.slo(s); err != nil {
				b.Fatal(err)
			}
		}
	}
}
