package incident_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// record is one line of what a child did to the outside: it sent a page, or
// answered an acknowledgement.
type record struct {
	Life    string    `json:"life"`
	Did     string    `json:"did"` // page or ack
	Key     string    `json:"key"` // of the page
	Kind    page.Kind `json:"kind"`
	User    string    `json:"user"`
	Service string    `json:"service"`
	At      time.Time `json:"at"`
}

// diary is the file that survives the children. A line is in it for good once
// write has returned.
type diary struct {
	mu   sync.Mutex
	file *os.File
	life string
}

func (d *diary) write(r record) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	r.Life, r.At = d.life, time.Now()
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := d.file.Write(append(line, '\n')); err != nil {
		return err
	}
	return d.file.Sync()
}

// provider sends into the diary, with the faults of a real one: it is busy, it
// limits, it knows somebody no more, and an accepted page takes some time to
// say so.
type provider struct{ *diary }

func (p provider) Edits(string) bool { return false }

func (p provider) Send(ctx context.Context, pg page.Page) (string, error) {
	fault := func(temporary bool, after time.Duration, text string) error {
		return &page.SendError{Channel: pg.To.Channel, Temporary: temporary, RetryAfter: after, Err: errors.New(text)}
	}
	switch n := rand.IntN(20); {
	case n < 4:
		return "", fault(true, 0, "busy")
	case n < 6:
		return "", fault(true, 200*time.Millisecond, "too many")
	case n < 7 && pg.To.Channel == "wecom":
		return "", fault(false, 0, "no such user")
	}
	if err := p.write(record{Did: "page", Key: pg.Key, Kind: pg.Kind, User: pg.To.User, Service: pg.Incident.Service}); err != nil {
		return "", err
	}
	select {
	case <-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond):
	case <-ctx.Done():
	}
	return "", nil
}

// How the children's policy pages: a P1 by all means, a P2 by the first, and
// after escalateAfter whoever is above all. The watch changes each turn.
const (
	turn          = 700 * time.Millisecond
	escalateAfter = 3 * time.Second
	above         = "boss"
)

// onWatch returns who is on call at an instant.
func onWatch(begun, at time.Time) string {
	return []string{"zhang", "li"}[at.Sub(begun)/turn%2]
}

// watch is the roster of the children.
type watch struct {
	rota
	begun time.Time
}

func (w watch) Route(model.LabelSet) incident.Route { return incident.Route{Policy: "default"} }

func (w watch) Step(at time.Time, inc alert.Incident) (s incident.Step) {
	user := onWatch(w.begun, at)
	s.Step, s.Wait, s.Name = 1, escalateAfter, "step 1"
	if inc.Step > 0 {
		user, s.Wait = above, 0
	}
	s.Notices = w.Ways(user, inc.Level)
	if inc.Level != alert.P1 {
		s.Notices = s.Notices[:1]
	} else {
		s.Step, s.Wait = 0, time.Minute
	}
	return s
}

// crashChild is a Midwatch of engine and store alone, until it is killed.
func crashChild(dir string) int {
	if err := serveChild(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}

func serveChild(dir string) error {
	ctx := context.Background()
	file, err := os.OpenFile(filepath.Join(dir, "diary"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	begun, err := strconv.ParseInt(os.Getenv("MIDWATCH_CRASH_BEGUN"), 10, 64)
	if err != nil {
		return err
	}
	c := store.Config{URL: os.Getenv("MIDWATCH_CRASH_URL")}
	if c.URL == "" {
		c.Path = filepath.Join(dir, "midwatch.db")
	}
	s, err := store.Open(ctx, c)
	if err != nil {
		return err
	}
	d := &diary{file: file, life: os.Getenv("MIDWATCH_CRASH_LIFE")}
	e, err := incident.New(incident.Config{
		Store: ledger{s}, Responders: watch{begun: time.UnixMilli(begun)}, Sender: provider{d},
		Logger:         slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})).With("life", d.life),
		PagesPerMinute: -1, EvidenceWait: 300 * time.Millisecond, Poll: 500 * time.Millisecond,
		Retry: incident.RetryPolicy{First: 20 * time.Millisecond, Longest: 100 * time.Millisecond},
	})
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = e.Run(ctx) }()
	fmt.Println(l.Addr())
	server := &http.Server{Handler: childHandler(e, d), ReadHeaderTimeout: time.Second}
	return server.Serve(l)
}

func childHandler(e *incident.Engine, d *diary) http.Handler {
	answer := func(do func(*http.Request) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if err := do(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /alerts", answer(func(r *http.Request) error {
		alerts, err := alert.Parse(r.Body, time.Now())
		if err != nil {
			return err
		}
		return e.Receive(r.Context(), alerts)
	}))
	mux.HandleFunc("POST /ack", answer(func(r *http.Request) error {
		service := r.FormValue("service")
		list, err := e.List(r.Context(), false)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(list, func(inc alert.Incident) bool { return inc.Service == service })
		if i < 0 {
			return fmt.Errorf("no incident of %q", service)
		}
		if _, err := e.Acknowledge(r.Context(), list[i].ID, "li"); err != nil {
			return err
		}
		return d.write(record{Did: "ack", Service: service})
	}))
	return mux
}
