package incident_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/store"
)

// BenchmarkReceivePostgres is BenchmarkReceive on a PostgreSQL server.
func BenchmarkReceivePostgres(b *testing.B) {
	server, err := servers.StartPostgres(b.Context(), servers.PostgresSpec{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			b.Error(err)
		}
	}()
	n := 0
	for b.Loop() {
		n++
		url, err := server.CreateDatabase(b.Context(), fmt.Sprint("bench", n))
		if err != nil {
			b.Fatal(err)
		}
		s, err := store.Open(b.Context(), store.Config{URL: url})
		if err != nil {
			b.Fatal(err)
		}
		e, err := incident.New(incident.Config{Store: ledger{s}, Responders: rota{}, Sender: nowhere{}, Logger: discard()})
		if err != nil {
			b.Fatal(err)
		}
		alerts := storm(10_000, 1_000)
		for _, kind := range []string{"new", "known"} {
			begun := time.Now()
			for batch := range 100 {
				if err := e.Receive(b.Context(), alerts[100*batch:100*batch+100]); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(10_000/time.Since(begun).Seconds(), kind+"/s")
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
