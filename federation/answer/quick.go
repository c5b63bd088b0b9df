package answer

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"unsafe"
)

// What follows reads what a Prometheus writes, where all of it lies in the
// buffer. Anything else, and anything that is wrong, it leaves to be read with
// more care: nothing is taken then.

// maxQuickName is how long a name may be that is remembered.
const maxQuickName = 256

// labelName is the name of a label.
type labelName struct {
	text    []byte // with all up to the value
	name    span   // in text
	foreign bool
	kept    bool // of a projected answer
}

// quickLabels reads the beginning of a series, up to the member that follows
// its labels. The names of labels are mostly those of the series before.
func (d *decoder) quickLabels() bool {
	b, ok := bytes.CutPrefix(d.buf[d.pos:d.end], []byte(`{"metric":{`))
	if !ok {
		return false
	}
	d.held = d.end - len(b)
	d.spans, d.key = d.spans[:0], d.key[:0]
	for i, at := 0, 0; at < maxLabels; at++ {
		name := d.quickName(at, b[i:])
		if name == nil {
			return false
		}
		from := i + len(name.text)
		to := from + plain(b[from:])
		if len(b)-to < 3 || b[to] != '"' || to > from && name.foreign {
			return false
		}
		switch {
		case !d.req.Projected:
			d.spans = append(d.spans, span{i + name.name.from, i + name.name.to}, span{from, to})
		case name.kept && to > from:
			d.key = appendText(appendText(d.key, name.text[name.name.from:name.name.to]), b[from:to])
		}
		if i = to + 2; b[to+1] != ',' {
			return b[to+1] == '}' && b[i] == ',' && d.quickTake(d.held+i+1)
		}
	}
	return false
}

// quickName returns the name of a label, the one at some place of a series,
// or nil.
func (d *decoder) quickName(at int, b []byte) *labelName {
	if at < len(d.names) && bytes.HasPrefix(b, d.names[at].text) {
		return &d.names[at]
	}
	if len(b) == 0 || b[0] != '"' {
		return nil
	}
	name := span{1, 1 + plain(b[1:])}
	if name.to == 1 || name.to > maxQuickName || !bytes.HasPrefix(b[name.to:], []byte(`":"`)) {
		return nil
	}
	if at == len(d.names) {
		d.names = append(d.names, labelName{})
	}
	one, text := &d.names[at], string(b[1:name.to])
	*one = labelName{
		text: append(one.text[:0], b[:name.to+3]...), name: name,
		foreign: slices.Contains(d.foreign, text), kept: slices.Contains(d.req.Keep, text),
	}
	return one
}

// quickTake makes labels of what was read up to a place of the buffer. It does
// not where they are the first of their kind.
func (d *decoder) quickTake(end int) bool {
	if d.req.Projected {
		if !d.known() {
			return false
		}
	} else if d.build(everyName) != nil {
		return false
	}
	d.pos = end
	return true
}

// quickValue reads the only sample of a series, and the end of the series.
func (d *decoder) quickValue() (bool, error) {
	const begin = `"value":`
	start := d.pos
	if !bytes.HasPrefix(d.buf[start:d.end], []byte(begin)) {
		return false, nil
	}
	d.pos += len(begin)
	t, f, ok := d.quickSample()
	if !ok || d.pos == d.end || d.buf[d.pos] != '}' {
		d.pos = start
		return false, nil
	}
	d.pos++
	return true, d.add(t, f)
}

// quickSample reads a sample.
func (d *decoder) quickSample() (t int64, f float64, ok bool) {
	b := d.buf[d.pos:d.end]
	comma := bytes.IndexByte(b[:min(len(b), 24)], ',')
	if comma < 2 || b[0] != '[' || comma+1 == len(b) || b[comma+1] != '"' {
		return 0, 0, false
	}
	if t, ok = d.quickTime(b[1:comma]); !ok {
		return 0, 0, false
	}
	from := comma + 2
	to := from + plain(b[from:])
	if !bytes.HasPrefix(b[to:], []byte(`"]`)) {
		return 0, 0, false
	}
	if f, ok = toFloat(b[from:to]); ok {
		d.pos += to + 2
	}
	return t, f, ok
}

// quickTime reads a time, which mostly is that of the sample before.
func (d *decoder) quickTime(b []byte) (int64, bool) {
	if bytes.Equal(b, d.when) {
		return d.at, true
	}
	t, ok := fastTime(b)
	if ok {
		d.when, d.at = append(d.when[:0], b...), t
	}
	return t, ok
}

// toFloat reads a value.
func toFloat(b []byte) (float64, bool) {
	if f, ok := fastInteger(b); ok {
		return f, true
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}
