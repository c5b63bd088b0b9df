package answer

import (
	"cmp"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"github.com/prometheus/prometheus/model/labels"
)

const (
	maxNotes       = 32 // warnings, and infos, that are kept
	maxNoteBytes   = 4 << 10
	minBlockValues = 16
	blockValues    = 4 << 10
	minBlockSeries = 4
	blockSeries    = 1 << 10
	maxLabels      = 1 << 10 // of one series
)

// Unfit says why an answer cannot stand for a part of a larger query, though
// nothing is wrong with it.
type Unfit string

// The reasons.
const (
	Histogram Unfit = "histogram" // JSON tells less of it than there is
	Foreign   Unfit = "label"     // a label that must not be there
	Overflow  Unfit = "overflow"  // a sum that is infinite, or nearly
	Times     Unfit = "times"     // a sample that is not at a step of the query, or not in order
)

// Error names the reason.
func (u Unfit) Error() string { return "unfit answer: " + string(u) }

// Failure is an answer of status "error".
type Failure struct {
	Type string // as Prometheus names it, such as "execution"; "" when it is none that Prometheus has
}

// Error names the type.
func (f Failure) Error() string {
	if f.Type == "" {
		return "answered an error"
	}
	return "answered an error of type " + f.Type
}

// Request says what is asked for.
type Request struct {
	Grid Grid // when the query was evaluated
	// Labels are set on every series; none of them may come with one, nor
	// any of Foreign.
	Labels  labels.Labels
	Foreign []string
	// Sums says that values are sums of which others are made.
	Sums bool
	// Hold takes note of n samples more that are held, and ends the decoding
	// with its error. Nil holds any number.
	Hold func(n int) error
}

// Answer is what a server answered.
type Answer struct {
	Series []*Series
	// Warnings and Infos are as the server wrote them, at most 32 of each.
	Warnings, Infos []string
	// Partial says that the server itself says that data is missing.
	Partial bool
}

// Samples returns how many samples the series hold, places without any
// included.
func (a *Answer) Samples() int {
	n := 0
	for i := range a.Series {
		n += len(a.Series[i].values)
	}
	return n
}

// maxSum is what a sum must stay below so that all clusters' together surely
// do not overflow.
const maxSum = 1e300

// Overflows tells whether a value is none that other sums may be made of.
func Overflows(f float64) bool { return math.Abs(f) > maxSum }

// Decode reads an answer to its end. It returns a Broken error for what makes
// no sense, an Unfit one for what cannot stand for a part of a query, a
// Failure for an error that the server answered, the error of Hold, or one of
// reading, of which the end of a cut answer is an io.ErrUnexpectedEOF.
func Decode(r io.Reader, req Request) (*Answer, error) {
	d := decoder{
		scanner: scanner{r: r, buf: make([]byte, firstBufferBytes)},
		req:     &req,
		scratch: labels.NewScratchBuilder(16),
	}
	req.Labels.Range(func(l labels.Label) { d.added = append(d.added, l) })
	for _, l := range d.added {
		d.foreign = append(d.foreign, l.Name)
	}
	d.foreign = append(d.foreign, req.Foreign...)
	if err := d.top(); err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &d.out, nil
}

type decoder struct {
	scanner
	req     *Request
	added   []labels.Label // in order of names
	foreign []string
	out     Answer

	// Of the series that is being read.
	spans   []span // names and values of its labels, by turns
	scratch labels.ScratchBuilder
	labels  labels.Labels
	first   int
	values  []float64 // at the end of block
	step    int       // the one after that of the last value
	unnoted int       // samples of which Hold does not know yet

	block []float64 // that values are taken of
	made  []Series  // a block of them
}

// key is a member's name that means something.
type key int

const (
	keyOther key = iota
	keyStatus
	keyData
	keyErrorType
	keyWarnings
	keyInfos
	keyIsPartial
	keyResult
	keyMetric
	keyValue
	keyValues
	keyHistogram
)

func toKey(name []byte) key {
	switch string(name) {
	case "metric":
		return keyMetric
	case "value":
		return keyValue
	case "values":
		return keyValues
	case "histogram", "histograms":
		return keyHistogram
	case "status":
		return keyStatus
	case "data":
		return keyData
	case "result":
		return keyResult
	case "errorType":
		return keyErrorType
	case "warnings":
		return keyWarnings
	case "infos":
		return keyInfos
	case "isPartial":
		return keyIsPartial
	}
	return keyOther
}

// top reads the whole answer.
func (d *decoder) top() error {
	var succeeded, answered bool
	var failure Failure
	err := d.members(func(k key) (err error) {
		switch k {
		case keyStatus:
			succeeded, err = d.is("success")
		case keyErrorType:
			failure.Type, err = d.failure()
		case keyData:
			answered, err = d.data()
		case keyWarnings:
			d.out.Warnings, err = d.notes()
		case keyInfos:
			d.out.Infos, err = d.notes()
		case keyIsPartial:
			d.out.Partial, err = d.isTrue()
		default:
			err = d.skip(0)
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case !succeeded:
		return failure
	case !answered:
		return Broken("it has no result")
	}
	return nil
}

// failure reads the type of an error; one that is not Prometheus' is "".
func (d *decoder) failure() (string, error) {
	s, err := d.string()
	if err != nil || !slices.Contains([]string{
		"timeout", "canceled", "execution", "bad_data", "internal", "unavailable", "not_found", "not_acceptable",
	}, s) {
		return "", err
	}
	return s, nil
}

// data reads the result and its type.
func (d *decoder) data() (answered bool, err error) {
	c, err := d.next()
	if err != nil {
		return false, err
	}
	if c != '{' {
		return false, d.skip(0)
	}
	err = d.members(func(k key) error {
		if k != keyResult {
			return d.skip(0)
		}
		answered = true
		return d.elements(d.series)
	})
	return answered, err
}

// series reads one series.
func (d *decoder) series() error {
	d.labels, d.values, d.step = labels.EmptyLabels(), d.block[len(d.block):], 0
	labelled := false
	err := d.members(func(k key) error {
		switch k {
		case keyMetric:
			labelled = true
			return d.metric()
		case keyValue:
			return d.sample()
		case keyValues:
			return d.elements(d.sample)
		case keyHistogram:
			return Histogram
		default:
			return d.skip(0)
		}
	})
	if err != nil {
		return err
	}
	if !labelled {
		return Broken("a series has no labels")
	}
	return d.closeSeries()
}

func (d *decoder) closeSeries() error {
	n := len(d.values)
	if n == 0 {
		return nil
	}
	d.block = d.block[:len(d.block)+n]
	if len(d.made) == cap(d.made) {
		d.made = make([]Series, 0, min(blockSeries, max(minBlockSeries, 2*cap(d.made))))
	}
	d.made = append(d.made, Series{labels: d.labels, grid: &d.req.Grid, first: d.first, values: slices.Clip(d.values)})
	d.out.Series = append(d.out.Series, &d.made[len(d.made)-1])
	return d.note()
}

// note tells of samples that Hold does not know yet.
func (d *decoder) note() error {
	n := d.unnoted
	d.unnoted = 0
	if d.req.Hold == nil || n == 0 {
		return nil
	}
	return d.req.Hold(n)
}

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
	return d.build()
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

// build makes the labels of what was read, with those that are added.
func (d *decoder) build() error {
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

// sample reads a time and a value.
func (d *decoder) sample() error {
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
	if d.unnoted++; d.unnoted == blockValues {
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
	b := d.bytes(p)
	if f, ok := fastInteger(b); ok {
		return f, nil
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(b), len(b)), 64)
	if errors.Is(err, strconv.ErrRange) {
		return f, nil
	}
	if err != nil {
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

// notes reads warnings or infos, as many as are kept.
func (d *decoder) notes() ([]string, error) {
	c, err := d.next()
	if err != nil {
		return nil, err
	}
	if c != '[' {
		return nil, d.skip(0)
	}
	var out []string
	err = d.elements(func() error {
		s, err := d.string()
		if len(out) < maxNotes {
			out = append(out, strings.Clone(s[:min(len(s), maxNoteBytes)]))
		}
		return err
	})
	return out, err
}

func (d *decoder) string() (string, error) {
	c, err := d.next()
	if err != nil || c != '"' {
		return "", cmp.Or(err, error(Broken("something in it is not a text")))
	}
	d.hold()
	defer d.release()
	p, err := d.text()
	if err != nil {
		return "", err
	}
	return string(d.bytes(p)), nil
}

func (d *decoder) is(want string) (bool, error) {
	s, err := d.string()
	return s == want, err
}

func (d *decoder) isTrue() (bool, error) {
	p, err := d.number()
	return err == nil && string(d.bytes(p)) == "true", err
}
