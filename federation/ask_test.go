package federation

import (
	"testing"
	"time"
)

// Servers that are near are not asked to compress, and a connection that took
// long while the machine was busy does not make one far.
func TestCompressionByDistance(t *testing.T) {
	for _, tt := range []struct {
		compression compression
		dials       []time.Duration
		want        bool
	}{
		{autoCompression, nil, false},
		{autoCompression, []time.Duration{0}, false},
		{autoCompression, []time.Duration{nearby}, false},
		{autoCompression, []time.Duration{nearby + 1}, true},
		{autoCompression, []time.Duration{40 * nearby, nearby / 2, 40 * nearby}, false},
		{autoCompression, []time.Duration{40 * nearby, 30 * nearby}, true},
		{gzipCompression, []time.Duration{nearby / 2}, true},
		{noCompression, []time.Duration{40 * nearby}, false},
	} {
		r := &replica{compression: tt.compression}
		for _, d := range tt.dials {
			r.reachedIn(d)
		}
		if got := r.compresses(); got != tt.want {
			t.Errorf("%s after connections in %s: got %v, want %v", tt.compression, tt.dials, got, tt.want)
		}
	}
}
