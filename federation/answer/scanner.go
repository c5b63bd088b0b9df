package answer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// firstBufferBytes is enough for a small answer; the buffer of a large one
	// grows to bufferBytes.
	firstBufferBytes = 4 << 10
	bufferBytes      = 64 << 10
	// maxHeldBytes bounds what is looked at as a whole: the labels of a series,
	// a number, a warning.
	maxHeldBytes = 4 << 20
	// maxDepth bounds how deep values are nested that nobody asked for.
	maxDepth = 64
)

// Broken is an answer that does not make sense; its text holds nothing that
// was sent.
type Broken string

// Error says what does not make sense.
func (b Broken) Error() string { return "broken answer: " + string(b) }

// span is a piece of the buffer, as offsets from scanner.held.
type span struct{ from, to int }

// scanner reads JSON from a buffer. What lies in the buffer after held stays
// there, though it may move; so it is told by its offset from held.
type scanner struct {
	r        io.Reader
	buf      []byte
	pos, end int // unread is buf[pos:end]
	held     int // buf[held:pos] has been read and is still wanted
	holding  bool
	filled   bool // the last read filled the buffer
}

// hold begins to keep what is read, from the next byte on.
func (s *scanner) hold() { s.held, s.holding = s.pos, true }

// release lets go of what was held. Until the next read it is still there.
func (s *scanner) release() { s.holding = false }

// bytes returns a piece of what is held. It is valid until the next read.
func (s *scanner) bytes(p span) []byte { return s.buf[s.held+p.from : s.held+p.to] }

// fill reads more into the buffer. The end of the answer is an
// io.ErrUnexpectedEOF.
func (s *scanner) fill() error {
	err := s.read()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return reading(err)
}

// reading says of an error of the connection where it was met.
func reading(err error) error {
	if _, own := errors.AsType[Broken](err); own || err == nil {
		return err
	}
	return fmt.Errorf("read answer: %w", err)
}

func (s *scanner) read() error {
	keep := s.pos
	if s.holding {
		keep = s.held
	}
	copy(s.buf, s.buf[keep:s.end])
	s.pos, s.end, s.held = s.pos-keep, s.end-keep, 0
	if s.end == len(s.buf) && len(s.buf) >= maxHeldBytes {
		return Broken("labels, a number or a text in it is too long")
	}
	if s.end == len(s.buf) || s.filled && len(s.buf) < bufferBytes {
		s.buf = append(s.buf, make([]byte, len(s.buf))...)
	}
	for range 100 {
		n, err := s.r.Read(s.buf[s.end:])
		s.end += n
		s.filled = s.end == len(s.buf)
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// next returns the next byte that is not white space, and leaves it unread.
func (s *scanner) next() (byte, error) {
	for {
		for ; s.pos < s.end; s.pos++ {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\n', '\r':
			default:
				return c, nil
			}
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// take reads one byte that must come next.
func (s *scanner) take(want byte) error {
	if s.pos < s.end && s.buf[s.pos] == want {
		s.pos++
		return nil
	}
	c, err := s.next()
	if err != nil {
		return err
	}
	if c != want {
		return Broken("not the JSON that a Prometheus answers")
	}
	s.pos++
	return nil
}

// more reads what follows a member of an object or an array: a comma, or the
// closing bracket; it reports whether it was a comma.
func (s *scanner) more(closing byte) (bool, error) {
	c, err := s.next()
	if err != nil {
		return false, err
	}
	s.pos++
	switch c {
	case ',':
		return true, nil
	case closing:
		return false, nil
	}
	return false, Broken("not the JSON that a Prometheus answers")
}

// empty reads the opening bracket of an object or an array, and the closing
// one too if it follows at once.
func (s *scanner) empty(opening, closing byte) (bool, error) {
	if err := s.take(opening); err != nil {
		return false, err
	}
	c, err := s.next()
	if err != nil {
		return false, err
	}
	if c == closing {
		s.pos++
		return true, nil
	}
	return false, nil
}

// plain returns how many bytes at the beginning of b stand for themselves in a
// text: ASCII that is neither a control character nor a quote nor a backslash.
// It looks at eight at a time; of the bits in m, the lowest is always right.
func plain(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, backslash := x^(ones*'"'), x^(ones*'\\')
		m := (quote-ones)&^quote | (backslash-ones)&^backslash | (x-ones*' ')&^x | x
		if m &= high; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// text reads a string and returns where it lies. Something must be held.
func (s *scanner) text() (span, error) {
	if err := s.take('"'); err != nil {
		return span{}, err
	}
	from := s.pos - s.held
	for {
		i := s.pos + plain(s.buf[s.pos:s.end])
		s.pos = i
		switch {
		case i == s.end:
			if err := s.fill(); err != nil {
				return span{}, err
			}
		case s.buf[i] == '"':
			s.pos++
			return span{from: from, to: i - s.held}, nil
		default:
			return s.special(from)
		}
	}
}

// special reads the rest of a string that has an escape or is not ASCII; what
// it means is not longer than how it is written, so it takes its place.
func (s *scanner) special(from int) (span, error) {
	to := s.pos - s.held
	put := func(p []byte) {
		to += copy(s.buf[s.held+to:], p)
	}
	for {
		if s.pos == s.end {
			if err := s.fill(); err != nil {
				return span{}, err
			}
		}
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			out := span{from: from, to: to}
			if !utf8.Valid(s.bytes(out)) {
				return out, Broken("a text in it is not UTF-8")
			}
			return out, nil
		case c < ' ':
			return span{}, Broken("a text in it has a control character")
		case c == '\\':
			r, err := s.escape()
			if err != nil {
				return span{}, err
			}
			put(utf8.AppendRune(nil, r))
		default:
			s.pos++
			put([]byte{c})
		}
	}
}

// escape reads an escape sequence, two of them where they make one character.
func (s *scanner) escape() (rune, error) {
	s.pos++ // the backslash
	c, err := s.byte()
	if err != nil {
		return 0, err
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return s.unicode()
	}
	return 0, Broken("a text in it has an escape that there is not")
}

func (s *scanner) unicode() (rune, error) {
	r, err := s.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	for _, want := range []byte(`\u`) {
		if c, err := s.byte(); err != nil || c != want {
			return 0, errors.Join(err, Broken("a text in it has half a character"))
		}
	}
	low, err := s.hex()
	if err != nil {
		return 0, err
	}
	if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
		return 0, Broken("a text in it has half a character")
	}
	return r, nil
}

func (s *scanner) hex() (rune, error) {
	var r rune
	for range 4 {
		c, err := s.byte()
		if err != nil {
			return 0, err
		}
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, Broken("a text in it has an escape that there is not")
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

func (s *scanner) byte() (byte, error) {
	if s.pos == s.end {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// word reads a number, true, false or null, and returns where it lies.
// Something must be held.
func (s *scanner) word() (span, error) {
	if _, err := s.next(); err != nil {
		return span{}, err
	}
	from := s.pos - s.held
	for {
		i := s.pos
		for i < s.end && inWord(s.buf[i]) {
			i++
		}
		s.pos = i
		if i < s.end {
			if out := (span{from: from, to: i - s.held}); out.to > out.from {
				return out, nil
			}
			return span{}, Broken("not the JSON that a Prometheus answers")
		}
		if err := s.fill(); err != nil {
			return span{}, err
		}
	}
}

func inWord(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E'
}

// skip reads a value that nobody asked for.
func (s *scanner) skip(depth int) error {
	c, err := s.next()
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return Broken("it is nested too deep")
	}
	switch c {
	case '{':
		return s.members(func(key) error { return s.skip(depth + 1) })
	case '[':
		return s.elements(func() error { return s.skip(depth + 1) })
	}
	s.hold()
	defer s.release()
	if c == '"' {
		_, err = s.text()
	} else {
		_, err = s.word()
	}
	return err
}

// members reads an object and calls read at each value.
func (s *scanner) members(read func(key) error) error {
	if empty, err := s.empty('{', '}'); err != nil || empty {
		return err
	}
	return s.remaining(read)
}

// remaining reads the members that are left of an object, of which there is
// one.
func (s *scanner) remaining(read func(key) error) error {
	for {
		k, err := s.key()
		if err != nil {
			return err
		}
		if err := read(k); err != nil {
			return err
		}
		if more, err := s.more('}'); err != nil || !more {
			return err
		}
	}
}

// key reads the name of a member and its colon.
func (s *scanner) key() (key, error) {
	s.hold()
	defer s.release()
	name, err := s.text()
	if err != nil {
		return keyOther, err
	}
	k := toKey(s.bytes(name))
	return k, s.take(':')
}

// elements reads an array and calls read at each value.
func (s *scanner) elements(read func() error) error {
	if empty, err := s.empty('[', ']'); err != nil || empty {
		return err
	}
	for {
		if err := read(); err != nil {
			return err
		}
		if more, err := s.more(']'); err != nil || !more {
			return err
		}
	}
}

// finish reads to the end of the answer, where nothing may be left.
func (s *scanner) finish() error {
	for {
		for _, c := range s.buf[s.pos:s.end] {
			if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
				return Broken("something follows its end")
			}
		}
		s.pos = s.end
		switch err := s.read(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return reading(err)
		}
	}
}
