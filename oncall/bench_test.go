package oncall

import (
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// BenchmarkStep asks for the step of a policy in a roster with layers,
// restrictions and holidays, as the engine does inside its transactions.
func BenchmarkStep(b *testing.B) {
	r, err := Load([]string{"testdata/full.yaml"})
	if err != nil {
		b.Fatal(err)
	}
	at := utc(b, "2026-11-21T12:00:00Z")
	q := StepRequest{Labels: map[string]string{"service": "payment-service"}, Level: alert.P1, Incident: 7}
	for b.Loop() {
		at = at.Add(7 * time.Minute)
		r.Step(at, q)
	}
}

// BenchmarkAt asks who is on call, and from when until when.
func BenchmarkAt(b *testing.B) {
	r, err := Load([]string{"testdata/full.yaml"})
	if err != nil {
		b.Fatal(err)
	}
	at := utc(b, "2026-11-21T12:00:00Z")
	for b.Loop() {
		at = at.Add(7 * time.Minute)
		r.At("payments", at)
	}
}
