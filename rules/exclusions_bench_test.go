package rules

import (
	"testing"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/midwatch-slo/midwatch/slo"
)

// What one evaluation of an exclusion takes, parsing included.
func BenchmarkExcluded(b *testing.B) {
	for _, cr := range []string{"0 2 * * 0", "*/15 1-3 * * 1-5", "* * * * *"} {
		for _, z := range []string{"Asia/Shanghai", "America/New_York"} {
			for _, d := range []time.Duration{2 * hour, 7 * day} {
				b.Run(cr+" "+z+" "+d.String(), func(b *testing.B) {
					loc, err := time.LoadLocation(z)
					if err != nil {
						b.Fatal(err)
					}
					var c compiler
					text, err := print(c.excluded(slo.SLO{Exclusions: []slo.Exclusion{{Cron: cr, Zone: loc, Duration: d}}}, edge, 0))
					if err != nil {
						b.Fatal(err)
					}
					calc := newCalculator(nil)
					nothing := storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return storage.NoopQuerier(), nil })
					for b.Loop() {
						q, err := calc.engine.NewInstantQuery(b.Context(), nothing, nil, text, time.Unix(1780000000, 0))
						if err != nil {
							b.Fatal(err)
						}
						if r := q.Exec(b.Context()); r.Err != nil {
							b.Fatal(r.Err)
						}
						q.Close()
					}
				})
			}
		}
	}
}
