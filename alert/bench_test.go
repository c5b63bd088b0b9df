package alert

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkParse reads a batch of 100 alerts as Prometheus sends them.
func BenchmarkParse(b *testing.B) {
	var body bytes.Buffer
	body.WriteString("[")
	for i := range 100 {
		if i > 0 {
			body.WriteString(",")
		}
		fmt.Fprintf(&body, `{"labels":{"alertname":"SLOErrorBudgetBurn","cluster":"hangzhou","instance":"10.0.0.1:%d","prometheus":"monitoring/k8s","service":"service-%d","severity":"P2","slo":"availability","tier":"1h5m"},`+
			`"annotations":{"summary":"an instance does not answer","description":"The instance 10.0.0.1:%d has not answered for 5 minutes, see \"dashboards\"."},`+
			`"startsAt":"2026-11-21T03:00:00.123Z","endsAt":"2026-11-21T03:04:00.123Z","generatorURL":"http://prometheus.example.com/graph?g0.expr=up&g0.tab=%d"}`, i, i, i, i)
	}
	body.WriteString("]")
	b.SetBytes(int64(body.Len()))
	b.ReportAllocs()
	for b.Loop() {
		alerts, err := Parse(bytes.NewReader(body.Bytes()), now)
		if err != nil || len(alerts) != 100 {
			b.Fatal(len(alerts), err)
		}
	}
	b.ReportMetric(100*float64(b.N)/b.Elapsed().Seconds(), "alerts/s")
}
