package app

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Bytes is a size, such as 256MiB.
type Bytes int64

// UnmarshalText reads a number with a unit, KiB, MiB or GiB, or 0.
func (b *Bytes) UnmarshalText(text []byte) error { return b.Set(string(text)) }

// Set reads a number with a unit, KiB, MiB or GiB, or 0.
func (b *Bytes) Set(s string) error {
	for i, unit := range []string{"KiB", "MiB", "GiB"} {
		shift := 10 * (i + 1)
		number, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 63)
		if err != nil || n > math.MaxInt64>>shift {
			break
		}
		*b = Bytes(n << shift)
		return nil
	}
	if s == "0" {
		*b = 0
		return nil
	}
	return fmt.Errorf("%q is no size such as 256MiB", s)
}

// String returns the size in the largest unit that gives a whole number, and ""
// for none.
func (b *Bytes) String() string {
	for i, unit := range []string{"GiB", "MiB", "KiB"} {
		if shift := 30 - 10*i; *b > 0 && *b>>shift<<shift == *b {
			return strconv.FormatInt(int64(*b>>shift), 10) + unit
		}
	}
	return ""
}

// Type names what it is in help texts.
func (*Bytes) Type() string { return "size" }
