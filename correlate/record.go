// Package correlate turns what happened around an incident into evidence that
// a person can read at night: it groups log lines into patterns, ranks them by
// how new and how frequent they are, and asks several sources at once. It does
// not know where logs are kept: correlate/loki does.
package correlate

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/go-logfmt/logfmt"
)

// Bounds of what is read of one line, in bytes. What is longer is cut.
const (
	maxText    = 64 << 10
	maxMessage = 4 << 10
	maxField   = 256
)

// Format is how a log line is written.
type Format string

// The formats of log lines.
const (
	JSON   Format = "json"
	Logfmt Format = "logfmt"
	Text   Format = "text"
)

// Record is what was found in one log line. Every string is valid UTF-8.
type Record struct {
	Format  Format
	Message string // what happened; the whole line when it has no message of its own
	Level   string
	Code    string // the program's own error code
	TraceID string
	Cluster string
	Pod     string

	// MessageKey and CodeKey are the keys that Message and Code were under, as
	// written; "" when there was none.
	MessageKey string
	CodeKey    string
}

// field is what a key in a log line means.
type field int

const (
	fieldNone field = iota
	fieldMessage
	fieldLevel
	fieldCode
	fieldTrace
	fieldCluster
	fieldPod
)

// meaning returns what a key means, and how good a source of it that key is:
// less is better.
func meaning(key string) (f field, rank int) {
	switch canonical(key) {
	case "message":
		return fieldMessage, 1
	case "msg":
		return fieldMessage, 2
	case "log":
		return fieldMessage, 3
	case "error", "err", "exception":
		return fieldMessage, 4
	case "level", "severity", "lvl", "loglevel":
		return fieldLevel, 1
	case "errorcode", "errcode":
		return fieldCode, 1
	case "traceid":
		return fieldTrace, 1
	case "cluster":
		return fieldCluster, 1
	case "pod", "podname":
		return fieldPod, 1
	}
	return fieldNone, 0
}

// canonical returns a key in lower case, without its separators.
func canonical(key string) string {
	if len(key) > 32 {
		return ""
	}
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", "@", "").Replace(key))
}

// Parse reads a line of JSON, of logfmt that has a message, or of plain text.
// It never fails: a line that is nothing else is plain text.
func Parse(line string) Record {
	line = strings.TrimSpace(cut(line, maxText))
	if strings.HasPrefix(line, "{") {
		if r, ok := parseJSON(line); ok {
			return r
		}
	}
	if r, ok := parseLogfmt(line); ok {
		return r
	}
	return Record{Format: Text, Message: cut(line, maxMessage)}
}

// parseJSON reads the top level of an object; of one that is cut or broken,
// what comes before the break. A message that holds such an object itself, as
// container runtimes wrap lines, is read in its place.
func parseJSON(line string) (Record, bool) {
	r, ok := readJSON(line)
	inner := strings.TrimSpace(r.Message)
	if !ok || !strings.HasPrefix(inner, "{") {
		return r, ok
	}
	nested, ok := readJSON(inner)
	if !ok {
		return r, true
	}
	nested.MessageKey, nested.CodeKey = "", ""
	if nested.Pod == "" {
		nested.Pod = r.Pod
	}
	if nested.Cluster == "" {
		nested.Cluster = r.Cluster
	}
	return nested, true
}

func readJSON(line string) (Record, bool) {
	b := builder{record: Record{Format: JSON}}
	dec := json.NewDecoder(strings.NewReader(line))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return Record{}, false
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			break
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			break
		}
		name, _ := key.(string)
		b.set(name, scalar(value))
	}
	return b.done()
}

// scalar returns a string's content, a number or another value as written,
// and nothing for null.
func scalar(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

func parseLogfmt(line string) (Record, bool) {
	if !strings.Contains(line, "=") {
		return Record{}, false
	}
	b := builder{record: Record{Format: Logfmt}}
	dec := logfmt.NewDecoderSize(strings.NewReader(line), maxText+1)
	if !dec.ScanRecord() {
		return Record{}, false
	}
	for dec.ScanKeyval() {
		if dec.Value() != nil {
			b.set(string(dec.Key()), string(dec.Value()))
		}
	}
	if dec.Err() != nil {
		return Record{}, false
	}
	return b.done()
}

// builder fills a Record key by key.
type builder struct {
	record Record
	rank   int // of the key that the message is from
}

func (b *builder) set(key, value string) {
	f, rank := meaning(key)
	if f == fieldNone || value == "" {
		return
	}
	r := &b.record
	if f == fieldMessage {
		if b.rank == 0 || rank < b.rank {
			b.rank = rank
			r.Message, r.MessageKey = cut(value, maxMessage), key
		}
		return
	}
	switch f {
	case fieldCode:
		if r.Code == "" {
			r.Code, r.CodeKey = cut(value, maxField), key
		}
	case fieldLevel:
		keepFirst(&r.Level, value)
	case fieldTrace:
		keepFirst(&r.TraceID, value)
	case fieldCluster:
		keepFirst(&r.Cluster, value)
	case fieldPod:
		keepFirst(&r.Pod, value)
	case fieldNone, fieldMessage:
	}
}

func keepFirst(to *string, value string) {
	if *to == "" {
		*to = cut(value, maxField)
	}
}

func (b *builder) done() (Record, bool) { return b.record, b.rank != 0 }

// cut returns s as valid UTF-8 of at most limit bytes, whole characters.
// Bytes that are no characters become question marks.
func cut(s string, limit int) string {
	if len(s) > limit {
		end := limit
		for end > limit-utf8.UTFMax && end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return strings.ToValidUTF8(s, "?")
}
