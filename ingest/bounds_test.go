package ingest_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/ingest"
)

// A body within its bound must not become many times its size in memory:
// compressed it is some kilobytes, and anybody may send it.
func TestManyEmptyAlertsTakeLittleMemory(t *testing.T) {
	many := func(element string) string { return strings.Repeat(element+",", 500_000) + element }
	for name, tt := range map[string]struct {
		read func(body string) error
		body string
		want error
	}{
		"alerts": {func(body string) error {
			_, err := ingest.Alertmanager(strings.NewReader(body), time.Now())
			return err
		}, `{"version":"4","alerts":[` + many("{}") + `]}`, alert.ErrTooLarge},
		"tags":  {sentry, `{"action":"triggered","data":{"event":{"issue_id":"1","project":"p","tags":[` + many("[]") + `]}}}`, nil},
		"a tag": {sentry, `{"action":"triggered","data":{"event":{"issue_id":"1","project":"p","tags":[[` + many("0") + `]]}}}`, nil},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := tt.read(tt.body)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: the error is %v, want %v", name, err, tt.want)
		}
		const most = 48 << 20
		if used := after.TotalAlloc - before.TotalAlloc; used > most {
			t.Errorf("%s: %d MiB are allocated for %d MiB, at most %d are fine", name, used>>20, len(tt.body)>>20, most>>20)
		}
	}
}

func sentry(body string) error {
	_, err := ingest.Sentry("event_alert", []byte(body), time.Now())
	return err
}
