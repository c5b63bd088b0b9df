package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/oncall/ical"
	"github.com/midwatch-slo/midwatch/store"
)

// team serves a calendar as the calendar services do.
type team struct {
	*httptest.Server
	body  atomic.Pointer[string]
	asked atomic.Int64
	whole atomic.Int64 // answers with a body
	down  atomic.Bool
}

func newTeam(t *testing.T) *team {
	t.Helper()
	s := &team{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		body := *s.body.Load()
		tag := fmt.Sprintf(`"%d"`, len(body))
		switch {
		case s.down.Load():
			http.Error(w, "ask again", http.StatusServiceUnavailable)
		case r.URL.Path != "/private-key/team.ics":
			http.NotFound(w, r)
		case r.Header.Get("If-None-Match") == tag:
			w.WriteHeader(http.StatusNotModified)
		default:
			s.whole.Add(1)
			w.Header().Set("ETag", tag)
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *team) says(lines ...string) {
	text := "BEGIN:VCALENDAR\r\n" + strings.Join(lines, "\r\n") + "\r\nEND:VCALENDAR\r\n"
	s.body.Store(&text)
}

func shiftOf(who string) string {
	return "BEGIN:VEVENT\r\nUID:1\r\nSUMMARY:" + who + "\r\nDTSTART:20261121T000000Z\r\nDTEND:20261122T000000Z\r\nEND:VEVENT"
}

func openTestStore(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// whom returns who the calendar says is on call on 21 November 2026.
func whom(f *feeds, all []oncall.Feed) string {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var names []string
	if s := f.sources(all)["payments days"]; s != nil {
		for _, e := range s.Between(at, at.Add(1)) {
			names = append(names, e.Summary)
		}
	}
	return strings.Join(names, ", ")
}

func TestCalendarsAreKept(t *testing.T) {
	server := newTeam(t)
	server.says(shiftOf("Li Na"))
	all := []oncall.Feed{{ID: "payments days", Schedule: "payments", Layer: "days", URL: secret.New(server.URL + "/private-key/team.ics"), Refresh: 15 * time.Minute, Zone: time.UTC}}
	path := filepath.Join(t.TempDir(), "midwatch.db")
	s := openTestStore(t, path)
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var logged bytes.Buffer
	open := func(s *store.Store) *feeds {
		f := newFeeds(s, slog.New(slog.NewTextHandler(&logged, nil)))
		f.now = func() time.Time { return now }
		if err := f.load(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := open(s)
	want := func(what string, changed, wantChanged bool, who string, asked, whole int64) {
		t.Helper()
		if got := whom(f, all); changed != wantChanged || got != who || server.asked.Load() != asked || server.whole.Load() != whole {
			t.Errorf("%s: changed %v, on call %q, asked %d times, %d answers with a body", what, changed, got, server.asked.Load(), server.whole.Load())
		}
	}
	want("at first", false, false, "", 0, 0)
	want("fetched", f.refresh(t.Context(), all, false), true, "Li Na", 1, 1)
	want("not due", f.refresh(t.Context(), all, false), false, "Li Na", 1, 1)
	now = now.Add(15 * time.Minute)
	want("as it was", f.refresh(t.Context(), all, false), false, "Li Na", 2, 1)
	now = now.Add(15 * time.Minute)
	server.says(shiftOf("Zhang Wei"))
	want("another", f.refresh(t.Context(), all, false), true, "Zhang Wei", 3, 2)
	now = now.Add(15 * time.Minute)
	server.says("hello")
	want("broken", f.refresh(t.Context(), all, false), false, "Zhang Wei", 4, 3)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	server.down.Store(true)
	s = openTestStore(t, path)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	f = open(s)
	now = now.Add(25 * time.Hour)
	want("after a restart, the server down", f.refresh(t.Context(), all, true), false, "Zhang Wei", 4, 3)
	want("due", f.refresh(t.Context(), all, false), false, "Zhang Wei", 5, 3)
	if got, want := f.seen(all[0]), float64(time.Date(2026, 11, 21, 12, 30, 0, 0, time.UTC).Unix()); got != want {
		t.Errorf("seen at %.0f; want %.0f", got, want)
	}
	for _, text := range []string{"calendar is not fetched", "calendar is older than a day", "schedule=payments layer=days", "the server answers 503"} {
		if !strings.Contains(logged.String(), text) {
			t.Errorf("the log lacks %q:\n%s", text, logged.String())
		}
	}
	if strings.Contains(logged.String(), "private-key") {
		t.Errorf("the log has the URL:\n%s", logged.String())
	}

	other := []oncall.Feed{all[0]}
	other[0].URL = secret.New(server.URL + "/private-key/other.ics")
	if err := f.load(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if got := whom(open(s), all); got != "" {
		t.Errorf("a calendar that no feed names any more is kept: %q", got)
	}
}

func TestCalendarsThatAreNotTaken(t *testing.T) {
	var plain *httptest.Server
	tls := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/down-from-tls":
			http.Redirect(w, r, plain.URL, http.StatusFound)
		case "/circle":
			http.Redirect(w, r, "/circle", http.StatusFound)
		case "/huge":
			chunk := bytes.Repeat([]byte("X-A:b\r\n"), 10_000)
			for range ical.MaxSize/len(chunk) + 2 {
				_, _ = w.Write(chunk) // whoever reads leaves early
			}
		case "/slow":
			<-r.Context().Done()
		case "/half":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "BEGIN:VCALENDAR")
		default:
			http.Error(w, "<html>sign in</html>", http.StatusOK)
		}
	}))
	defer tls.Close()
	plain = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n") }))
	defer plain.Close()
	f := newFeeds(nil, slog.New(slog.DiscardHandler))
	f.client.Transport = tls.Client().Transport
	for path, want := range map[string]string{
		"/down-from-tls": "redirects from https to http",
		"/circle":        "more than 5 redirects",
		"/huge":          "more than 4194304 bytes",
		"/slow":          "deadline exceeded",
		"/half":          "unexpected EOF",
		"/sign-in":       "line 1",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := f.fetch(ctx, oncall.Feed{URL: secret.New(tls.URL + path), Zone: time.UTC}, keptFeed{})
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), path) {
			t.Errorf("%s: want %q, got %v", path, want, err)
		}
	}
}
