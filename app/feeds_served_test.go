package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/oncall/ical"
)

const calendarOncall = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - name: li.na
    full_name: Li Na
    contacts: [{channel: wecom, address: LiNa}]
  - name: wang.wei
    full_name: Wang Wei
    contacts: [{channel: wecom, address: WangWei}]
schedules:
  - name: payments
    timezone: Asia/Shanghai
    layers:
      - name: always
        rotation: {handoff: "0 10 * * mon", start: "2026-01-05T10:00", participants: [li.na]}
      - name: team
        calendar: {url_file: calendar-url}
default_schedule: payments
`

// Who a calendar puts on call is so at once after a reload, and after a
// restart while the calendar is not to be had.
func TestACalendarSaysWhoIsOnCallAlsoWhenItIsAway(t *testing.T) {
	var away atomic.Bool
	at := time.Now().UTC()
	calendar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			http.Error(w, "away", http.StatusBadGateway)
			return
		}
		fmt.Fprintf(w, "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1\r\nSUMMARY:On Call - Wang Wei\r\nDTSTART:%s\r\nDURATION:P2D\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
			at.Add(-24*time.Hour).Format("20060102T150405Z"))
	}))
	defer calendar.Close()
	w := start(t)
	w.write(t, "calendar-url", calendar.URL+"/private-key\n")
	w.write(t, "oncall.yaml", calendarOncall)
	onCall := func(when string) {
		t.Helper()
		if _, text := w.get(t, "/api/v1/oncall"); !strings.Contains(text, `"wang.wei"`) || !strings.Contains(text, `"layer":"team"`) {
			t.Errorf("%s on call is %s", when, text)
		}
	}
	w.reload(t)
	onCall("after a reload")
	if _, text := w.get(t, "/metrics"); !strings.Contains(text, `midwatch_oncall_calendar_last_success_timestamp_seconds{layer="team",schedule="payments"} 1.`) {
		t.Error("no metric says when the calendar was fetched")
	}
	resp, err := http.Get(w.url + "/ical/user/wang.wei.ics") //nolint:noctx // As a phone asks, without a token.
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	served, err := ical.Read(resp.Body, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	events := served.Between(at, at.Add(time.Minute))
	if kind := resp.Header.Get("Content-Type"); kind != "text/calendar; charset=utf-8" || len(events) != 1 || events[0].Summary != "payments: Wang Wei" {
		t.Errorf("the calendar for a phone is %s, %v", kind, events)
	}
	if err := w.stop(); err != nil {
		t.Fatal(err)
	}
	away.Store(true)
	w.run(t)
	onCall("after a restart")
	w.reload(t)
	onCall("after another reload")
	w.write(t, "calendar-url", calendar.URL+"/another\n")
	w.reload(t)
	if _, text := w.get(t, "/api/v1/oncall"); !strings.Contains(text, `"li.na"`) {
		t.Errorf("without a calendar on call is %s", text)
	}
}
