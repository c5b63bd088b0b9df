package answer

import (
	"cmp"
	"io"
	"math"
	"slices"
	"strings"

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
	noteSamples    = 64      // of which Hold is told at once
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
	// Projected says that series keep none of their own labels but Keep.
	// Series that are then alike stay as many.
	Projected bool
	Keep      []string
	// Grouped says, where Projected does, that those that are alike are wanted
	// together, as Groups.
	Grouped bool
	// Sums says that values are sums of which others are made.
	Sums bool
	// Hold takes note of n samples more that are held, and ends the decoding
	// with its error. Nil holds any number.
	Hold func(n int) error
}

// Answer is what a server answered.
type Answer struct {
	Series []*Series
	Groups []*Group // instead of series, where that was asked for
	// Warnings and Infos are as the server wrote them, at most 32 of each.
	Warnings, Infos []string
	// Partial says that the server itself says that data is missing.
	Partial bool
}

// Samples returns how many samples the series hold, places without any
// included.
func (a *Answer) Samples() int {
	n := 0
	for _, s := range a.Series {
		n += len(s.values)
	}
	for _, g := range a.Groups {
		n += len(g.values)
		for _, s := range g.series {
			n += len(s.values)
		}
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
	req.Grouped = req.Grouped && req.Projected
	d := decoder{
		scanner: scanner{r: r, buf: make([]byte, firstBufferBytes)},
		req:     &req,
		scratch: labels.NewScratchBuilder(16),
		kept:    map[string]*Group{},
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
	if err := d.note(); err != nil {
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
	group   *Group // of a projected answer
	key     []byte
	first   int
	values  []float64 // at the end of block
	step    int       // the one after that of the last value
	unnoted int       // samples of which Hold does not know yet

	kept  map[string]*Group // by what is kept of labels, as it was read
	block []float64         // that values are taken of
	made  []Series          // a block of them

	names []labelName // of the series before, as they were read
	when  []byte      // the time of a sample before, as it was read
	at    int64       // what it means
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
	labelled := d.quickLabels()
	if labelled {
		if done, err := d.quickValue(); err != nil {
			return err
		} else if done {
			return d.closeSeries()
		}
	}
	read := func(k key) error {
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
	}
	var err error
	if labelled {
		err = d.remaining(read)
	} else {
		err = d.members(read)
	}
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
	if d.req.Grouped && d.req.Grid.Steps == 1 {
		d.group.values = append(d.group.values, d.values...)
		return nil
	}
	d.block = d.block[:len(d.block)+n]
	if len(d.made) == cap(d.made) {
		d.made = make([]Series, 0, min(blockSeries, max(minBlockSeries, 2*cap(d.made))))
	}
	d.made = append(d.made, Series{labels: d.labels, grid: &d.req.Grid, first: d.first, values: slices.Clip(d.values)})
	if one := &d.made[len(d.made)-1]; d.req.Grouped {
		d.group.series = append(d.group.series, one)
	} else {
		d.out.Series = append(d.out.Series, one)
	}
	return nil
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
