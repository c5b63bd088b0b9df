package federation

import (
	"encoding/binary"

	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

const (
	// maxBuckets bounds the buckets of a histogram. Those that people make have
	// some hundred.
	maxBuckets = 1 << 18
	// histogramLayoutAt is where the layout of the histograms begins in a chunk:
	// after the number of samples and the flags.
	histogramLayoutAt = 3
)

// fits tells whether a chunk can hold what it says its histograms are like.
// Memory is made for the buckets that it tells of before any is read, so a few
// bytes could ask for more than there is.
func fits(encoding chunkenc.Encoding, data []byte) bool {
	switch encoding {
	case chunkenc.EncHistogram, chunkenc.EncFloatHistogram, chunkenc.EncHistogramST, chunkenc.EncFloatHistogramST:
	default:
		return true
	}
	if binary.BigEndian.Uint16(data) == 0 { // no samples, no layout
		return true
	}
	buckets, ok := countBuckets(data[histogramLayoutAt:])
	return ok && buckets <= maxBuckets && buckets <= 8*uint64(len(data)) // each has a bit, at the least
}

// countBuckets reads from a layout how many buckets histograms have. It is
// false where the layout does not come to its end, or has buckets that lie
// before others.
func countBuckets(layout []byte) (buckets uint64, ok bool) {
	b := bitReader{data: layout}
	if zeroThreshold := b.read(8); zeroThreshold == 255 { // which stands for a number that follows
		b.read(64)
	}
	b.signed() // the schema
	for range 2 {
		first := true
		for spans := b.varbit(); spans > 0 && !b.over; spans-- {
			buckets += uint64(uint32(b.varbit()))
			if offset := b.signed(); offset < 0 && !first {
				return buckets, false
			}
			first = false
		}
	}
	return buckets, !b.over
}

// bitReader reads bits, of each byte the highest first.
type bitReader struct {
	data []byte
	at   int  // the next bit
	over bool // there were not as many as were read
}

// read returns the next n bits, n being 64 or less.
func (b *bitReader) read(n int) uint64 {
	if b.over = b.over || b.at+n > 8*len(b.data); b.over {
		return 0
	}
	var out uint64
	for range n {
		out = out<<1 | uint64(b.data[b.at/8]>>(7-b.at%8)&1)
		b.at++
	}
	return out
}

// varbit reads a number of as many bits as the ones before it say.
func (b *bitReader) varbit() uint64 {
	out, _ := b.number()
	return out
}

// signed reads a number that may be negative.
func (b *bitReader) signed() int32 {
	out, size := b.number()
	if size > 0 && size < 64 && out > 1<<(size-1) {
		out -= 1 << size
	}
	return int32(out)
}

// number reads a number and of how many bits it is.
func (b *bitReader) number() (out uint64, size int) {
	sizes := [...]int{0, 3, 6, 9, 12, 18, 25, 56, 64}
	ones := 0
	for ones < len(sizes)-1 && b.read(1) == 1 {
		ones++
	}
	return b.read(sizes[ones]), sizes[ones]
}
