package app

import "testing"

func TestBytes(t *testing.T) {
	for text, want := range map[string]Bytes{"0": 0, "64KiB": 64 << 10, "256MiB": 256 << 20, "3GiB": 3 << 30} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s is %d, %v; want %d", text, b, err, want)
		}
		if got := b.String(); got != text && b > 0 {
			t.Errorf("%s is written %s", text, got)
		}
	}
	for _, text := range []string{"", "1", "256", "256MB", "-1MiB", "1.5GiB", "9223372036854775807KiB", "MiB", "1 GiB"} {
		var b Bytes
		if err := b.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for %d bytes", text, b)
		}
	}
}
