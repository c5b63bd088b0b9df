package answer

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
)

// metric reads the labels of a series.
func (d *decoder) metric() error {
	if _, err := d.next(); err != nil {
		return err
	}
	d.spans = d.spans[:0]
	d.hold()
	defer d.release()
	empty, err := d.empty('{', '}')
	for more := !empty; err == nil && more; {
		var name, val span
		if name, err = d.text(); err != nil {
			break
		}
		if err = d.take(':'); err != nil {
			break
		}
		if val, err = d.text(); err != nil {
			break
		}
		if len(d.spans) >= 2*maxLabels {
			return Broken("a series has too many labels")
		}
		d.spans = append(d.spans, name, val)
		more, err = d.more('}')
	}
	if err != nil {
		return err
	}
	if d.req.Projected {
		return d.project()
	}
	return d.build(everyName)
}

// project finds the labels of which the same was kept before, or makes them.
func (d *decoder) project() error {
	d.key = d.key[:0]
	for i := 0; i < len(d.spans); i += 2 {
		name, val := d.bytes(d.spans[i]), d.bytes(d.spans[i+1])
		switch {
		case len(val) == 0:
		case slices.Contains(d.foreign, string(name)): // without a copy
			return Foreign
		case slices.Contains(d.req.Keep, string(name)):
			d.key = appendText(appendText(d.key, name), val)
		}
	}
	if d.known() {
		return nil
	}
	if err := d.build(func(name string) bool { return slices.Contains(d.req.Keep, name) }); err != nil {
		return err
	}
	d.group = &Group{labels: d.labels}
	d.kept[string(d.key)] = d.group
	if d.req.Grouped {
		d.out.Groups = append(d.out.Groups, d.group)
	}
	return nil
}

// known takes the labels of which the same is kept as of others before.
func (d *decoder) known() bool {
	g, ok := d.kept[string(d.key)]
	if ok {
		d.group, d.labels = g, g.labels
	}
	return ok
}

// copied tells whether label sets copy the texts that they are made of.
const copied = labels.ImplementationName == "stringlabels"

// view returns what is held as a text that is valid until the next read, or
// a copy where that is too short.
func (d *decoder) view(p span) string {
	b := d.bytes(p)
	if !copied {
		return string(b)
	}
	return unsafe.String(unsafe.SliceData(b), len(b))
}

func everyName(string) bool { return true }

// build makes the labels of what was read and is kept, with those that are
// added.
func (d *decoder) build(keep func(name string) bool) error {
	d.scratch.Reset()
	added := d.added
	last, sorted := "", true
	for i := 0; i < len(d.spans); i += 2 {
		name, val := d.view(d.spans[i]), d.view(d.spans[i+1])
		switch {
		case val == "":
			continue
		case name == "":
			return Broken("a label has no name")
		case slices.Contains(d.foreign, name):
			return Foreign
		case !keep(name):
			continue
		}
		sorted = sorted && last < name
		last = name
		for len(added) > 0 && added[0].Name < name {
			d.scratch.Add(added[0].Name, added[0].Value)
			added = added[1:]
		}
		d.scratch.Add(name, val)
	}
	for _, l := range added {
		d.scratch.Add(l.Name, l.Value)
	}
	if !sorted {
		d.scratch.Sort()
	}
	d.labels = d.scratch.Labels()
	if !sorted {
		if _, twice := d.labels.HasDuplicateLabelNames(); twice {
			return Broken("a label is given twice")
		}
	}
	return nil
}

// appendText appends a text in a way that tells where it ends.
func appendText[T string | []byte](to []byte, text T) []byte {
	return append(binary.AppendUvarint(to, uint64(len(text))), text...)
}

// sample reads a time and a value.
func (d *decoder) sample() error {
	if t, f, ok := d.quickSample(); ok {
		return d.add(t, f)
	}
	if err := d.take('['); err != nil {
		return err
	}
	t, err := d.time()
	if err != nil {
		return err
	}
	if err := d.take(','); err != nil {
		return err
	}
	f, err := d.float()
	if err != nil {
		return err
	}
	if err := d.take(']'); err != nil {
		return err
	}
	return d.add(t, f)
}

// add takes in a value.
func (d *decoder) add(t int64, f float64) error {
	step, ok := d.req.Grid.at(t, d.step)
	if !ok {
		return Times
	}
	if d.req.Sums && Overflows(f) {
		return Overflow
	}
	switch {
	case len(d.values) == 0:
		d.first = step
	case step > d.step:
		d.push(gap(step - d.step))
	}
	d.push(f)
	d.step = step + 1
	if d.unnoted++; d.unnoted == noteSamples {
		return d.note()
	}
	return nil
}

// push appends to the values of the series, which move to a new block when
// they do not fit into this one.
func (d *decoder) push(f float64) {
	if len(d.values) == cap(d.values) {
		size := min(blockValues, max(minBlockValues, 2*cap(d.block)))
		d.block = make([]float64, 0, max(size, 2*len(d.values)))
		d.values = append(d.block, d.values...) //nolint:gocritic // the values are the end of the block.
	}
	d.values = append(d.values, f)
}

// time reads a time in seconds, as milliseconds.
func (d *decoder) time() (int64, error) {
	p, err := d.number()
	if err != nil {
		return 0, err
	}
	b := d.bytes(p)
	if t, ok := fastTime(b); ok {
		return t, nil
	}
	f, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(math.Abs(f) < math.MaxInt64/2000) {
		return 0, Broken("a time is not valid")
	}
	return int64(math.Round(f * 1000)), nil
}

func (d *decoder) number() (span, error) {
	if _, err := d.next(); err != nil {
		return span{}, err
	}
	d.hold()
	defer d.release()
	return d.word()
}

// fastTime reads seconds with at most three decimals and no exponent.
func fastTime(b []byte) (int64, bool) {
	negative := len(b) > 0 && b[0] == '-'
	if negative {
		b = b[1:]
	}
	var t int64
	decimals := -1
	if len(b) == 0 || len(b) > 16 {
		return 0, false
	}
	for _, c := range b {
		switch {
		case '0' <= c && c <= '9':
			t = t*10 + int64(c-'0')
			if decimals >= 0 {
				decimals++
			}
		case c == '.' && decimals < 0:
			decimals = 0
		default:
			return 0, false
		}
	}
	if decimals > 3 {
		return 0, false
	}
	for range 3 - max(0, decimals) {
		t *= 10
	}
	if negative {
		t = -t
	}
	return t, true
}

// float reads a value, which is a text.
func (d *decoder) float() (float64, error) {
	c, err := d.next()
	if err != nil {
		return 0, err
	}
	if c == '{' {
		return 0, Histogram
	}
	d.hold()
	defer d.release()
	p, err := d.text()
	if err != nil {
		return 0, err
	}
	f, ok := toFloat(d.bytes(p))
	if !ok {
		return 0, Broken("a value is not a number")
	}
	return f, nil
}

// fastInteger reads an integer that a float64 holds exactly.
func fastInteger(b []byte) (float64, bool) {
	if len(b) == 0 || len(b) > 15 {
		return 0, false
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return float64(n), true
}
