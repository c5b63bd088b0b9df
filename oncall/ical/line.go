package ical

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// property is one content line (RFC 5545, section 3.1).
type property struct {
	name   string
	params map[string]string // the first value of each
	value  string
	line   int // of its beginning, from 1
}

// properties reads all content lines of a calendar, unfolded.
func properties(r io.Reader) ([]property, error) {
	content, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read calendar: %w", err)
	case len(content) > MaxSize:
		return nil, fmt.Errorf("read calendar: more than %d bytes", MaxSize)
	case !utf8.Valid(content):
		return nil, errors.New("read calendar: not in UTF-8")
	}
	var all []property
	var text strings.Builder
	begun := 0
	flush := func() error {
		if text.Len() == 0 {
			return nil
		}
		p, err := parseLine(text.String())
		if err != nil {
			return fmt.Errorf("read calendar: line %d: %w", begun, err)
		}
		p.line = begun
		all = append(all, p)
		text.Reset()
		return nil
	}
	scanner := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(content, []byte("\xef\xbb\xbf"))))
	scanner.Buffer(make([]byte, 0, maxLine), maxLine)
	for n := 1; scanner.Scan(); n++ {
		line := strings.TrimSuffix(scanner.Text(), "\r")
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			if text.WriteString(line[1:]); text.Len() > maxLine {
				return nil, fmt.Errorf("read calendar: line %d is longer than %d bytes", begun, maxLine)
			}
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		begun = n
		text.WriteString(line)
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read calendar: %w", err)
	}
	return all, flush()
}

// parseLine reads name, parameters and value of a content line.
func parseLine(line string) (property, error) {
	p := property{params: map[string]string{}}
	end := strings.IndexAny(line, ";:")
	if end <= 0 {
		return p, errors.New("no name and value with a colon between them")
	}
	p.name = strings.ToUpper(line[:end])
	rest := line[end:]
	for strings.HasPrefix(rest, ";") {
		name, after, ok := strings.Cut(rest[1:], "=")
		if !ok || name == "" {
			return p, fmt.Errorf("%s has a parameter without a value", p.name)
		}
		value, after, err := paramValue(after)
		if err != nil {
			return p, fmt.Errorf("%s: %w", p.name, err)
		}
		if name = strings.ToUpper(name); p.params[name] == "" {
			p.params[name] = value
		}
		rest = after
	}
	if !strings.HasPrefix(rest, ":") {
		return p, fmt.Errorf("%s has no value", p.name)
	}
	p.value = rest[1:]
	return p, nil
}

// paramValue returns the first value of a parameter and what comes after all
// of its values.
func paramValue(s string) (first, rest string, err error) {
	for i := 0; ; i++ {
		var value string
		if strings.HasPrefix(s, `"`) {
			end := strings.IndexByte(s[1:], '"')
			if end < 0 {
				return "", "", errors.New("a parameter's quote does not end")
			}
			value, s = s[1:1+end], s[end+2:]
		} else {
			end := strings.IndexAny(s, ",;:")
			if end < 0 {
				return "", "", errors.New("no value after the parameters")
			}
			value, s = s[:end], s[end:]
		}
		if i == 0 {
			first = value
		}
		if !strings.HasPrefix(s, ",") {
			return first, s, nil
		}
		s = s[1:]
	}
}

var unescape = strings.NewReplacer(`\\`, `\`, `\;`, `;`, `\,`, `,`, `\n`, "\n", `\N`, "\n")

// text returns the value of a property that is text (section 3.3.11).
func (p property) text() string { return unescape.Replace(p.value) }
