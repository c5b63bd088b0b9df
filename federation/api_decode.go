package federation

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// What of an answer may come, and what it is taken to need in memory besides
// its bytes, of which as many may come as a query's budget has.
const (
	maxElementBytes = 16 << 20  // of one element of a list
	maxObjectBytes  = 256 << 20 // of what is no list
	maxSpaceBytes   = 64 << 10  // of white space on end, which the decoder looks at again and again

	commaBytes  = 8
	elementCost = 32  // of an object or list within a list
	objectCost  = 256 // of any other: rules and targets are large when they are empty
)

// answerBody is the body of an answer, read within bounds.
type answerBody struct {
	r      io.Reader
	budget *budget
	cost   int64 // of each object and list in it
	left   int   // bytes of what is read at once
	err    error // that reading failed with

	quoted, escaped bool
	space           int // bytes of it on end
}

func newAnswerBody(r io.Reader, b *budget) *answerBody {
	return &answerBody{r: &budgetReader{r: r, budget: b}, budget: b, cost: objectCost, left: maxObjectBytes}
}

// Read reads, and remembers what reading failed with. With that come no bytes:
// the decoder forgets an error that came with some.
func (b *answerBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if b.left -= n; b.left < 0 && err == nil {
		err = brokenError("more at once than anything there can be")
	}
	if b.budget.used.Add(b.weigh(p[:n])) > b.budget.limit && err == nil {
		err = errTooMuch
	}
	if b.space > maxSpaceBytes && err == nil {
		err = brokenError("nothing but white space")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
		return 0, err
	}
	return n, err
}

// weigh returns what a part of the answer needs besides its bytes.
func (b *answerBody) weigh(p []byte) (sum int64) {
	for _, c := range p {
		switch {
		case b.escaped:
			b.escaped = false
		case c == '"':
			b.quoted = !b.quoted
		case b.quoted:
			b.escaped = c == '\\'
		case c == '{' || c == '[':
			sum += b.cost
		case c == ',':
			sum += commaBytes
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			b.space++
			continue
		}
		b.space = 0
	}
	return sum
}

// finish reads what is behind the answer, white space at most, so that the
// connection is of use again, and that it came whole is known.
func (b *answerBody) finish() { _, _ = io.CopyN(io.Discard, b, 4<<10) } // b remembers the error

// objectOf reads the data of an answer that is no list.
func objectOf[T any](b *answerBody) (*T, bool, error) {
	data := new(T)
	warned, err := decodeAnswer(b, func(dec *json.Decoder) error { return dec.Decode(data) })
	return data, warned, err
}

// listOf reads the data of an answer that is a list.
func listOf[E any](b *answerBody) (*[]E, bool, error) {
	var all []E
	warned, err := decodeList(b, func(one E) { all = append(all, one) })
	return &all, warned, err
}

// decodeList reads a list of an answer, as it comes, and gives its elements to
// take.
func decodeList[E any](b *answerBody, take func(E)) (warned bool, err error) {
	b.cost, b.left = elementCost, maxElementBytes
	return decodeAnswer(b, func(dec *json.Decoder) error {
		switch begin, err := dec.Token(); {
		case err != nil:
			return err
		case begin == nil: // null
			return nil
		case begin != json.Delim('['):
			return errNotAnAnswer
		}
		for dec.More() {
			b.left = maxElementBytes
			var one E
			if err := dec.Decode(&one); err != nil {
				return err
			}
			take(one)
		}
		_, err := dec.Token()
		return err
	})
}

// errNotAnAnswer is one of what is JSON, but not of the API.
const errNotAnAnswer = brokenError("not what Prometheus' API answers")

// decodeAnswer reads an answer of Prometheus' API, its data by a function, and
// whether it came with warnings, other than that it is as short as was wanted.
func decodeAnswer(b *answerBody, data func(*json.Decoder) error) (warned bool, err error) {
	var envelope envelope
	err = envelope.read(json.NewDecoder(b), data)
	if err == nil {
		b.finish()
	}
	switch {
	case b.err != nil:
		return false, b.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false, io.ErrUnexpectedEOF
	case err != nil || envelope.status != "success":
		return false, errNotAnAnswer
	case envelope.partial:
		return false, errSaysPartial
	}
	own := slices.DeleteFunc(envelope.warnings, func(w string) bool { return w == errTruncated.Error() })
	return len(own) > 0, nil
}

// errSaysPartial is one of a server that has not all data itself, and says so.
const errSaysPartial = brokenError("it says itself that data is missing")

// envelope is what is around the data of an answer.
type envelope struct {
	status   string
	warnings []string
	partial  bool
}

// read reads an answer, of whose data there is one.
func (e *envelope) read(dec *json.Decoder, data func(*json.Decoder) error) error {
	if begin, err := dec.Token(); err != nil {
		return err
	} else if begin != json.Delim('{') {
		return errNotAnAnswer
	}
	seen := false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var other json.RawMessage
		switch key {
		case "status":
			err = dec.Decode(&e.status)
		case "warnings":
			err = dec.Decode(&e.warnings)
		case "isPartial": // of VictoriaMetrics
			err = dec.Decode(&e.partial)
		case "data":
			if seen {
				return errNotAnAnswer
			}
			seen = true
			err = data(dec)
		default:
			err = dec.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	_, err := dec.Token()
	return err
}
