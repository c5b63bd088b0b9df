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
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/page"
)

// Kills at seeded random moments of a random timeline of alerts,
// acknowledgements and hand-offs. MIDWATCH_CHAOS_KILLS says how many, and
// MIDWATCH_CHAOS_SEED which.

func TestCrashesOfOneProcess(t *testing.T) {
	c := newCrash(t, 1)
	c.late = 5 * time.Second
	c.play()
}

func TestCrashesOfThreeReplicas(t *testing.T) {
	server, err := servers.StartPostgres(t.Context(), servers.PostgresSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := newCrash(t, 3)
	if c.url, err = server.CreateDatabase(t.Context(), "crash"); err != nil {
		t.Fatal(err)
	}
	c.late = 20 * time.Second // what a dead replica had claimed is free after 15
	c.play()
}

// crash is the parent's side: what it was promised, and what it saw.
type crash struct {
	t      *testing.T
	dir    string
	url    string        // of the database; "" for SQLite
	late   time.Duration // how long after it is due a page may come, while a process lives
	seed   uint64
	kills  int
	random *rand.Rand
	client *http.Client
	begun  time.Time

	children []*child
	lives    int
	posted   int
	accepted map[string]*promise // by service: of alerts that were answered with 200
	acked    map[string]bool     // services that it tried to acknowledge
	inFlight map[string]int      // by page: at how many kills it was claimed and not settled
	absences []span              // when no process lived
}

type child struct {
	*exec.Cmd
	address string
}

// promise is an alert that was accepted: between sent and answered, its
// incident began.
type promise struct {
	level          alert.Level
	sent, answered time.Time
}

type span struct{ from, to time.Time }

func newCrash(t *testing.T, processes int) *crash {
	c := &crash{
		t: t, dir: t.TempDir(), seed: 20261121, kills: 50, begun: time.Now(),
		client:   &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}},
		children: make([]*child, processes), accepted: map[string]*promise{}, acked: map[string]bool{}, inFlight: map[string]int{},
	}
	if raced || testing.Short() {
		c.kills = 5
	}
	for name, set := range map[string]func(n uint64){
		"MIDWATCH_CHAOS_KILLS": func(n uint64) { c.kills = int(n) }, //nolint:gosec // few
		"MIDWATCH_CHAOS_SEED":  func(n uint64) { c.seed = n },
	} {
		if text := os.Getenv(name); text != "" {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			set(n)
		}
	}
	c.random = rand.New(rand.NewPCG(c.seed, uint64(processes)))
	return c
}

func (c *crash) play() {
	defer func() {
		if c.t.Failed() {
			c.t.Logf("run it again: MIDWATCH_CHAOS_SEED=%d MIDWATCH_CHAOS_KILLS=%d go test ./incident -run '^%s$'", c.seed, c.kills, c.t.Name())
		}
	}()
	for i := range c.children {
		c.start(i)
	}
	for range c.kills {
		c.live()
	}
	c.waitUntilAllArePaged()
	for i := range c.children {
		c.kill(i)
	}
	c.client.CloseIdleConnections()
	c.check()
}

func (c *crash) start(i int) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "MIDWATCH_CRASH_DIR="+c.dir, "MIDWATCH_CRASH_URL="+c.url,
		fmt.Sprint("MIDWATCH_CRASH_LIFE=", c.lives), fmt.Sprint("MIDWATCH_CRASH_BEGUN=", c.begun.UnixMilli()))
	c.lives++
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		c.t.Fatalf("child %d does not start: %v", c.lives-1, err)
	}
	c.children[i] = &child{cmd, strings.TrimSpace(address)}
}

func (c *crash) kill(i int) {
	if err := c.children[i].Process.Kill(); err != nil {
		c.t.Error(err)
	}
	_ = c.children[i].Wait() // it says that it was killed
}

// live posts alerts and acknowledgements until a child is killed and started
// again, which is some time after enough of them.
func (c *crash) live() {
	victim, most := c.random.IntN(len(c.children)), 24
	if raced {
		most = 12
	}
	enough := most/4 + c.random.IntN(most)
	pause := time.Duration(c.random.IntN(30)) * time.Millisecond
	dead := make(chan time.Time)
	for n := 0; ; n++ {
		if n == enough {
			time.AfterFunc(pause, func() { c.kill(victim); dead <- time.Now() })
		}
		select {
		case died := <-dead:
			c.noteInFlight(c.children[victim].Process.Pid)
			c.start(victim)
			if len(c.children) == 1 {
				c.absences = append(c.absences, span{died, time.Now()})
			}
			return
		default:
		}
		c.post(c.anyAddress())
		if service, ok := c.anyService(); ok && (n == enough/2 || c.random.IntN(8) == 0) {
			c.acked[service] = true
			c.call(c.anyAddress(), "/ack?service="+url.QueryEscape(service), nil)
		}
	}
}

func (c *crash) anyAddress() string { return c.children[c.random.IntN(len(c.children))].address }

// anyService returns one of the last services that were accepted.
func (c *crash) anyService() (string, bool) {
	service := fmt.Sprint("s", c.posted-c.random.IntN(20))
	return service, c.accepted[service] != nil
}

// post sends a few alerts of new services, some of them twice, as the two
// Prometheus of a pair do.
func (c *crash) post(address string) {
	var services []string
	var levels []alert.Level
	var alerts []map[string]any
	for range 1 + c.random.IntN(3) {
		c.posted++
		service, level := fmt.Sprint("s", c.posted), alert.P1+alert.Level(c.random.IntN(2)) //nolint:gosec // 0 or 1
		services, levels = append(services, service), append(levels, level)
		alerts = append(alerts, map[string]any{"labels": map[string]string{"alertname": "Down", "service": service, "severity": level.String()}})
	}
	body, err := json.Marshal(alerts)
	if err != nil {
		c.t.Fatal(err)
	}
	sent, accepted := time.Now(), false
	for range 1 + c.random.IntN(2) {
		accepted = c.call(address, "/alerts", body) || accepted
		address = c.anyAddress()
	}
	if !accepted {
		return
	}
	for i, s := range services {
		c.accepted[s] = &promise{levels[i], sent, time.Now()}
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
func (c *crash) noteInFlight(pid int) {
	mine := "%"
	if c.url != "" {
		mine = fmt.Sprintf("%%/%d/%%", pid)
	}
	for _, key := range c.query("SELECT key FROM pages WHERE state = 'queued' AND leased_until > 0 AND leased_by LIKE '" + mine + "'") {
		c.inFlight[key]++
	}
}

// explain returns what is in the database about a service.
func (c *crash) explain(service string) string {
	return fmt.Sprintln("now", time.Now().UnixMilli()) + strings.Join(append(
		c.query("SELECT 'incident ' || id || ' ' || status || ' step ' || step || ' round ' || round || ' next page ' || next_page_at FROM incidents WHERE service = '"+service+"'"),
		c.query(`SELECT p.key || ' ' || p.state || ' attempt ' || p.attempt || ' due ' || p.due_at || ' leased until ' || p.leased_until || ' by ' || p.leased_by || ' ' || p.reason
			FROM pages p JOIN incidents i ON i.id = p.incident_id WHERE i.service = '`+service+"' ORDER BY p.id")...), "\n")
}

// query returns the only column of the answer.
func (c *crash) query(query string) (all []string) {
	driver, source := "sqlite", filepath.Join(c.dir, "midwatch.db")
	if c.url != "" {
		driver, source = "pgx", c.url
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		c.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			c.t.Fatal(err)
		}
		all = append(all, text)
	}
	if err := rows.Err(); err != nil {
		c.t.Fatal(err)
	}
	return all
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

// told is what people were told of a service.
type told struct {
	first record // to whoever is on call
	above record // to whoever is above all
}

func (c *crash) told() map[string]*told {
	all := map[string]*told{}
	for _, r := range c.records() {
		if r.Did != "page" {
			continue
		}
		if all[r.Service] == nil {
			all[r.Service] = &told{}
		}
		to := &all[r.Service].first
		if r.User == above {
			to = &all[r.Service].above
		}
		if to.Key == "" {
			*to = r
		}
	}
	return all
}

// unpaged returns which promises are not kept yet.
func (c *crash) unpaged() (missing []string) {
	all := c.told()
	for service, p := range c.accepted {
		t := all[service]
		if !c.acked[service] && (t == nil || t.first.Key == "" || p.level == alert.P2 && t.above.Key == "") {
			missing = append(missing, service)
		}
	}
	return missing
}

func (c *crash) waitUntilAllArePaged() {
	deadline := time.After(escalateAfter + 2*c.late)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		missing := c.unpaged()
		if len(missing) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("%d of %d accepted alerts are not paged: %v; of the first the outbox says:\n%s",
				len(missing), len(c.accepted), missing[:min(5, len(missing))], c.explain(missing[0]))
		}
	}
}

// check compares what was sent with what was promised: each alert to the
// right person in time, no page more often than the kills excuse, and none
// after an acknowledgement.
func (c *crash) check() {
	for service, told := range c.told() {
		if p := c.accepted[service]; p != nil {
			c.checkPromise(service, p, told)
		}
	}
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
		if a, ok := acked[r.Service]; ok && r.At.Sub(a.At) > time.Second {
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
	c.t.Logf("%d kills, %d alerts accepted, %d pages, %d acknowledged, %d sends in flight at the kills, %d repeated",
		c.kills, len(c.accepted), len(times), len(acked), excuses, repeated)
	if len(c.accepted) < 5*c.kills || len(acked) < c.kills/4 || excuses == 0 && c.kills > 20 {
		c.t.Error("too little happened for the test to mean anything")
	}
}

// checkPromise says when an alert was told to the wrong person, or late.
func (c *crash) checkPromise(service string, p *promise, t *told) {
	if t.first.Key != "" && t.first.Kind == page.Opened {
		right := map[string]bool{onWatch(c.begun, p.sent): true, onWatch(c.begun, p.answered): true}
		for at := p.sent; at.Before(p.answered); at = at.Add(turn / 2) {
			right[onWatch(c.begun, at)] = true
		}
		if !right[t.first.User] {
			c.t.Errorf("%s was told to %s, who was not on call between %s and %s", service, t.first.User, p.sent, p.answered)
		}
		if late := t.first.At.Sub(p.answered) - c.absence(p.answered, t.first.At); late > c.late {
			c.t.Errorf("%s was told %s late", service, late)
		}
	}
	if p.level == alert.P2 && t.above.Key != "" {
		due := p.answered.Add(escalateAfter)
		if t.above.At.Before(p.sent.Add(escalateAfter)) {
			c.t.Errorf("%s went on %s before its time", service, due.Sub(t.above.At))
		}
		if late := t.above.At.Sub(due) - c.absence(due, t.above.At); late > c.late {
			c.t.Errorf("%s went on %s late", service, late)
		}
	}
}

// absence returns for how long of a span no process lived.
func (c *crash) absence(from, to time.Time) (sum time.Duration) {
	for _, a := range c.absences {
		if a.from.Before(from) {
			a.from = from
		}
		if to.Before(a.to) {
			a.to = to
		}
		sum += max(0, a.to.Sub(a.from))
	}
	return sum
}
