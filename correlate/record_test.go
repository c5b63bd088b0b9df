package correlate

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want Record
	}{
		"json": {
			`{"timestamp":"2026-11-21T03:00:00Z","level":"ERROR","traceId":"4bf9","spanId":"1","service":"payment-service","namespace":"prod","pod":"pay-1","node":"n1","message":"boom 7","errorCode":"PAY-504"}`,
			Record{Format: JSON, Message: "boom 7", Level: "ERROR", Code: "PAY-504", TraceID: "4bf9", Pod: "pay-1", MessageKey: "message", CodeKey: "errorCode"},
		},
		"other spellings, numbers, a better key later": {
			`{"error":"x","msg":"y","error_code":504,"trace_id":"t","severity":"fatal","podName":"p","cluster":"c"}`,
			Record{Format: JSON, Message: "y", Level: "fatal", Code: "504", TraceID: "t", Pod: "p", Cluster: "c", MessageKey: "msg", CodeKey: "error_code"},
		},
		"wrapped by a container runtime": {
			`{"log":"{\"message\":\"inner\",\"errorCode\":\"E\"}\n","stream":"stderr","pod":"p"}`,
			Record{Format: JSON, Message: "inner", Code: "E", Pod: "p"},
		},
		"cut in the middle": {
			`{"message":"boom","traceId":"4b`,
			Record{Format: JSON, Message: "boom", MessageKey: "message"},
		},
		"json without a message": {
			`{"a":1}`,
			Record{Format: Text, Message: `{"a":1}`},
		},
		"logfmt": {
			`ts=2026-11-21 level=error msg="pool \"a\" is empty" traceID=4b pod=p errorCode=E1`,
			Record{Format: Logfmt, Message: `pool "a" is empty`, Level: "error", Code: "E1", TraceID: "4b", Pod: "p", MessageKey: "msg", CodeKey: "errorCode"},
		},
		"text with an equals sign": {
			`connect to x=5 refused`,
			Record{Format: Text, Message: "connect to x=5 refused"},
		},
		"not UTF-8": {
			"bad \xff\xfe",
			Record{Format: Text, Message: "bad ?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Parse(c.line)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseIsBounded(t *testing.T) {
	for _, line := range []string{
		strings.Repeat("你", 1<<20),
		`{"a":"` + strings.Repeat("x", 1<<20) + `","message":"m"}`,
		`{"message":"` + strings.Repeat("x", 10000) + `"}`,
		`{"message":` + strings.Repeat(`{"a":`, 15000) + strings.Repeat("}", 15000) + "}",
		strings.Repeat("k=v ", 1<<18) + "msg=m",
	} {
		if r := Parse(line); len(r.Message) > maxMessage || strings.ContainsRune(r.Message, '?') {
			t.Errorf("%.20q…: message of %d bytes %.40q", line, len(r.Message), r.Message)
		}
	}
}
