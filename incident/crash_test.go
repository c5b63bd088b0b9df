package incident_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// record is one line of what the child did to the outside: it sent a page, or
// answered an acknowledgement.
type record struct {
	Life    string    `json:"life"`
	Did     string    `json:"did"` // page or ack
	Key     string    `json:"key"` // of the page
	Service string    `json:"service"`
	At      time.Time `json:"at"`
}

// diary is the file that survives the child. A line is in it for good once
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

// provider sends into the diary, with the faults of a real one: one try in
// four fails, and an accepted page takes some time to say so.
type provider struct{ *diary }

func (p provider) Edits(string) bool { return false }

func (p provider) Send(ctx context.Context, pg page.Page) (string, error) {
	if rand.IntN(4) == 0 {
		return "", &page.SendError{Channel: pg.To.Channel, Temporary: true, Err: fmt.Errorf("busy")}
	}
	if err := p.write(record{Did: "page", Key: pg.Key, Service: pg.Incident.Service}); err != nil {
		return "", err
	}
	select {
	case <-time.After(time.Duration(rand.IntN(4000)) * time.Microsecond):
	case <-ctx.Done():
	}
	return "", nil
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
	s, err := store.OpenSQLite(ctx, filepath.Join(dir, "midwatch.db"))
	if err != nil {
		return err
	}
	d := &diary{file: file, life: os.Getenv("MIDWATCH_CRASH_LIFE")}
	e, err := incident.New(incident.Config{
		Store: ledger{s}, Responders: rota{}, Sender: provider{d}, Logger: discard(), PagesPerMinute: -1,
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

// crash is the parent's side: what it was promised, and what it saw.
type crash struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	client *http.Client

	posted   int
	accepted []string        // services whose alert was answered with 200
	acked    map[string]bool // services that it tried to acknowledge
	inFlight map[string]int  // by page: at how many kills it was claimed and not settled
}

func TestKilledAtAnyMoment(t *testing.T) {
	const seed, kills = 20261121, 10
	c := &crash{
		t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 0)),
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{}},
		acked:  map[string]bool{}, inFlight: map[string]int{},
	}
	for life := range kills {
		child, address := c.start(life)
		c.live(address, child)
		c.noteInFlight()
	}
	child, _ := c.start(kills)
	c.waitUntilAllArePaged()
	c.kill(child)
	c.client.CloseIdleConnections()
	c.check()
}

func (c *crash) start(life int) (*exec.Cmd, string) {
	c.t.Helper()
	child := exec.CommandContext(c.t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "MIDWATCH_CRASH_DIR="+c.dir, fmt.Sprint("MIDWATCH_CRASH_LIFE=", life))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("child %d does not start: %v", life, err)
	}
	return child, strings.TrimSpace(address)
}

func (c *crash) kill(child *exec.Cmd) {
	if err := child.Process.Kill(); err != nil {
		c.t.Error(err)
	}
	_ = child.Wait() // it says that it was killed
}

// live posts alerts and acknowledgements until the child is killed, which is
// some time after enough of them.
func (c *crash) live(address string, child *exec.Cmd) {
	dead := make(chan struct{})
	most := 80
	if raced {
		most = 12
	}
	enough := most/4 + c.random.IntN(most)
	for n := 0; ; n++ {
		select {
		case <-dead:
			return
		default:
		}
		c.post(address)
		if n == enough {
			span := time.Duration(c.random.IntN(50)) * time.Millisecond
			time.AfterFunc(span, func() { defer close(dead); c.kill(child) })
		}
		if len(c.accepted) > 0 && (n == enough/2 || c.random.IntN(8) == 0) { // at least once a life
			service := c.accepted[len(c.accepted)-1-c.random.IntN(min(20, len(c.accepted)))]
			c.acked[service] = true
			c.call(address, "/ack?service="+url.QueryEscape(service), nil)
		}
	}
}

// post sends a few alerts of new services, some of them twice, as the two
// Prometheus of a pair do.
func (c *crash) post(address string) {
	var services []string
	var alerts []map[string]any
	for range 1 + c.random.IntN(4) {
		c.posted++
		service := fmt.Sprint("s", c.posted)
		services = append(services, service)
		level := []string{"P1", "P2"}[c.random.IntN(2)]
		alerts = append(alerts, map[string]any{"labels": map[string]string{"alertname": "Down", "service": service, "severity": level}})
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		c.t.Fatal(err)
	}
	accepted := false
	for range 1 + c.random.IntN(2) {
		accepted = c.call(address, "/alerts", body) || accepted
	}
	if accepted {
		c.accepted = append(c.accepted, services...)
	}
}

func (c *crash) call(address, path string, body []byte) bool {
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, "http://"+address+path, bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		c.t.Errorf("%s: %s", path, text)
	}
	return err == nil && answer.StatusCode == http.StatusOK
}

// noteInFlight reads which pages the dead child had claimed and not settled.
func (c *crash) noteInFlight() {
	db, err := sql.Open("sqlite", filepath.Join(c.dir, "midwatch.db"))
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(c.t.Context(), "SELECT key FROM pages WHERE state = 'queued' AND leased_until > 0")
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key string
		if err := rows.Scan(&key); err != nil {
			c.t.Fatal(err)
		}
		c.inFlight[key]++
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *crash) records() (all []record) {
	file, err := os.ReadFile(filepath.Join(c.dir, "diary"))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range bytes.Lines(file) {
		var r record
		if err := json.Unmarshal(line, &r); err == nil { // a kill may cut the last line of a life
			all = append(all, r)
		}
	}
	return all
}

func (c *crash) unpaged() (missing []string) {
	paged := map[string]bool{}
	for _, r := range c.records() {
		paged[r.Service] = paged[r.Service] || r.Did == "page"
	}
	for _, s := range c.accepted {
		if !paged[s] && !c.acked[s] {
			missing = append(missing, s)
		}
	}
	return missing
}

func (c *crash) waitUntilAllArePaged() {
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := c.unpaged()
		if len(missing) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("%d of %d accepted alerts are not paged: %v", len(missing), len(c.accepted), missing[:min(5, len(missing))])
		}
	}
}

// check looks for pages sent more often than the kills excuse, and for pages
// after an acknowledgement.
func (c *crash) check() {
	times, acked, repeated, excuses := map[string]int{}, map[string]record{}, 0, 0
	for _, r := range c.records() {
		if r.Did == "ack" {
			acked[r.Service] = r
			continue
		}
		if times[r.Key]++; times[r.Key] > 1 {
			repeated++
		}
		// A send that was under way when it was acknowledged may end.
		if a, ok := acked[r.Service]; ok && (r.Life != a.Life || r.At.Sub(a.At) > 500*time.Millisecond) {
			c.t.Errorf("page %s in life %s, %s after the acknowledgement in life %s", r.Key, r.Life, r.At.Sub(a.At), a.Life)
		}
	}
	for key, n := range times {
		if n > 1+c.inFlight[key] {
			c.t.Errorf("page %s was sent %d times, in flight at %d kills", key, n, c.inFlight[key])
		}
	}
	for _, n := range c.inFlight {
		excuses += n
	}
	c.t.Logf("%d alerts accepted, %d pages, %d acknowledged, %d sends in flight at the kills, %d repeated",
		len(c.accepted), len(times), len(acked), excuses, repeated)
	if len(c.accepted) < 50 || len(acked) < 5 || excuses == 0 {
		c.t.Error("too little happened for the test to mean anything")
	}
}
