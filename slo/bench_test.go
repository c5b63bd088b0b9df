package slo_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// BenchmarkParse5000 reads 5,000 SLOs of a hundred files. The budget is 0.2 s
// of CPU: a third of what compiling them may take.
func BenchmarkParse5000(b *testing.B) {
	const files, each = 100, 50
	contents := make([][]byte, files)
	for i := range contents {
		contents[i] = []byte(fleet(i, each))
	}
	b.ReportAllocs()
	for b.Loop() {
		var reader yamldoc.Reader
		total := 0
		for i, content := range contents {
			f, err := reader.Parse(fmt.Sprintf("%d.yaml", i), content)
			if err != nil {
				b.Fatal(err)
			}
			for _, n := range f.Docs {
				s, problems := slo.Decode(f, n)
				if problems != nil || s.Name == "" {
					b.Fatal(problems)
				}
				total++
			}
		}
		if total != files*each {
			b.Fatalf("%d SLOs", total)
		}
	}
}

// fleet writes a file of SLOs as people write them.
func fleet(file, number int) string {
	var b strings.Builder
	for i := range number {
		service := fmt.Sprintf("service-%d-%d", file, i)
		fmt.Fprintf(&b, `---
apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata:
  name: availability
  labels: {tribe: commerce}
spec:
  service: %[1]s
  description: Requests that users of %[1]s wait for succeed.
  critical: %[2]t
  objective: 99.%[3]d
  window: 30d
  runbook: https://runbooks.example.com/%[1]s
  logs: '{namespace="prod", app="%[1]s"}'
  sli:
    events:
      errors: http_requests_total{app="%[1]s",status=~"5.."}
      total: http_requests_total{app="%[1]s"}
`, service, i%3 == 0, 90+i%10)
	}
	return b.String()
}
