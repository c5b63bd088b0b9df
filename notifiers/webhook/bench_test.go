package webhook

import "testing"

// BenchmarkMessage composes a page of 50 alerts.
func BenchmarkMessage(b *testing.B) {
	r := newRig(b, nil)
	p := burning(50)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := encode(r.message(p)); err != nil {
			b.Fatal(err)
		}
	}
}
