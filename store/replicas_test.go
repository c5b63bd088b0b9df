package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// replicas opens the same database three times.
func replicas(t *testing.T, url string) []*store.Postgres {
	t.Helper()
	return []*store.Postgres{openPostgres(t, url), openPostgres(t, url), openPostgres(t, url)}
}

func closeAll(t *testing.T, all []*store.Postgres) {
	t.Helper()
	for _, s := range all {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// addOne is what an update does that reads and then writes: it adds one to a
// number that others add to as well.
func addOne(tx *store.Tx) error {
	was, err := tx.Mark("n")
	if err != nil {
		return err
	}
	var n int
	if was != "" {
		if _, err := fmt.Sscan(was, &n); err != nil {
			return err
		}
	}
	return tx.SetMark("n", fmt.Sprint(n+1))
}

func TestReplicas(t *testing.T) {
	d := newDatabases(t)
	for name, test := range map[string]func(*testing.T, *databases, string, []*store.Postgres){
		"lose no update":                   testNoLostUpdate,
		"open one incident of a key":       testOneIncident,
		"claim a page once":                testClaimedOnce,
		"run a job once":                   testJobOnce,
		"outlive connections that end":     testTerminated,
		"do not wait for one that hangs":   testHung,
		"see who else there is":            testSeen,
		"know which is the first":          testFirst,
		"go on after a failover":           testReadOnly,
		"free what a dead one had claimed": testDeadReplica,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			all := replicas(t, url)
			test(t, d, url, all)
			closeAll(t, all)
		})
	}
}

func testNoLostUpdate(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	var wait sync.WaitGroup
	for _, s := range all {
		for range 4 {
			wait.Go(func() {
				for range 25 {
					if err := s.Update(t.Context(), addOne); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wait.Wait()
	wantMark(t, all[0], "300")
}

func wantMark(t *testing.T, s *store.Postgres, want string) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) error {
		got, err := tx.Mark("n")
		if got != want {
			t.Errorf("counted %s, want %s", got, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func testOneIncident(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	var wait sync.WaitGroup
	var opened atomic.Int64
	for _, s := range all {
		wait.Go(func() {
			for i := range 30 {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					key := fmt.Sprint(i)
					known, err := tx.UnresolvedIncidents([]string{key})
					if err != nil || len(known) > 0 {
						return err
					}
					opened.Add(1)
					_, err = tx.AddIncident(alert.Incident{Key: key, Status: alert.Open})
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n := opened.Load(); n != 30 {
		t.Errorf("%d incidents of 30 keys", n)
	}
}

// enqueue adds an incident with n pages.
func enqueue(t *testing.T, s *store.Postgres, n int) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) error {
		id, err := tx.AddIncident(alert.Incident{Key: "pages", Level: alert.P1, Status: alert.Open})
		if err != nil {
			return err
		}
		for i := range n {
			p := page.Page{
				Key: fmt.Sprint(i), Kind: page.Opened, At: t0, To: page.Contact{User: "zhang", Channel: "wecom"},
				Incident: alert.Incident{ID: id, Level: alert.P1},
			}
			if err := tx.Enqueue(t0, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func testClaimedOnce(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	enqueue(t, all[0], 100)
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		got  = map[string]int{}
	)
	for _, s := range all {
		wait.Go(func() {
			for {
				var pages []page.Page
				err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
					pages, err = tx.Claim("wecom", t0, t0.Add(time.Hour), 7)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				if len(pages) == 0 {
					return
				}
				mu.Lock()
				for _, p := range pages {
					got[p.Key]++
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	for key, n := range got {
		if n != 1 {
			t.Errorf("page %s was claimed %d times", key, n)
		}
	}
	if len(got) != 100 {
		t.Errorf("%d pages of 100 were claimed", len(got))
	}
}

func testJobOnce(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	var wait sync.WaitGroup
	var ran atomic.Int64
	for _, s := range all {
		wait.Go(func() {
			for i := range 20 {
				err := s.Update(t.Context(), func(tx *store.Tx) error {
					mine, err := tx.Once("report", t0.Add(time.Duration(i)*time.Hour))
					if mine {
						ran.Add(1)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	if n := ran.Load(); n > 20 || n == 0 { // one that is late finds that a later run was
		t.Errorf("20 runs happened %d times", n)
	}
}

func isFirst(t *testing.T, s *store.Postgres) (first bool) {
	t.Helper()
	err := s.View(t.Context(), func(tx *store.Tx) (err error) {
		first, err = tx.First()
		return err
	})
	if err != nil {
		t.Error(err)
	}
	return first
}

func testFirst(t *testing.T, d *databases, _ string, _ []*store.Postgres) {
	url := d.url(t)
	elder, younger := openPostgres(t, url), openPostgres(t, url)
	if !isFirst(t, elder) || isFirst(t, younger) {
		t.Errorf("the elder is the first: %t, the younger: %t", isFirst(t, elder), isFirst(t, younger))
	}
	closeAll(t, []*store.Postgres{elder})
	if !isFirst(t, younger) {
		t.Error("the younger is not the first when it is alone")
	}
	closeAll(t, []*store.Postgres{younger})
}

// admin is a connection beside the store's.
func admin(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.WithoutCancel(t.Context())) })
	return c
}

// All connections are ended again and again while updates run. An update that
// was answered with no error has happened; one that was answered with an error
// may have, at most once.
func testTerminated(t *testing.T, _ *databases, url string, all []*store.Postgres) {
	c := admin(t, url)
	var (
		wait          sync.WaitGroup
		done, failed  atomic.Int64
		stop, stopped = make(chan struct{}), make(chan struct{})
	)
	go func() {
		defer close(stopped)
		for {
			_, err := c.Exec(context.WithoutCancel(t.Context()), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			if err != nil {
				t.Error(err)
			}
			select {
			case <-stop:
				return
			case <-time.After(70 * time.Millisecond):
			}
		}
	}()
	for _, s := range all {
		for range 2 {
			wait.Go(func() {
				for range 150 {
					if err := s.Update(t.Context(), addOne); err != nil {
						failed.Add(1)
						continue
					}
					done.Add(1)
				}
			})
		}
		wait.Go(func() {
			for range 50 {
				_ = s.View(t.Context(), func(tx *store.Tx) error { _, err := tx.ListIncidents(true, 10); return err }) // it may be ended
			}
		})
	}
	wait.Wait()
	close(stop)
	<-stopped
	var n int64
	for _, s := range all { // each goes on as if nothing had been
		if err := s.Update(t.Context(), func(tx *store.Tx) error {
			text, err := tx.Mark("n")
			_, errScan := fmt.Sscan(text, &n)
			return errors.Join(err, errScan)
		}); err != nil {
			t.Error(err)
		}
	}
	if n < done.Load() || n > done.Load()+failed.Load() {
		t.Errorf("%d updates succeeded and %d did not, counted are %d", done.Load(), failed.Load(), n)
	}
	if done.Load() == 0 || failed.Load() == 0 {
		t.Errorf("%d succeeded, %d failed: nothing is shown by that", done.Load(), failed.Load())
	}
}

// A replica that hangs within an update loses it; the others wait for some
// seconds only.
func testHung(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	hangs, goOn, answer := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		answer <- all[0].Update(t.Context(), func(tx *store.Tx) error {
			err := addOne(tx)
			close(hangs)
			<-goOn
			return err
		})
	}()
	<-hangs
	begun := time.Now()
	for _, s := range all[1:] {
		if err := s.Update(t.Context(), addOne); err != nil {
			t.Error(err)
		}
	}
	if waited := time.Since(begun); waited > 9*time.Second {
		t.Errorf("the others waited for %s", waited)
	}
	close(goOn)
	if err := <-answer; err == nil {
		t.Error("the one that hung was told that it had succeeded")
	}
	wantMark(t, all[1], "2")
	if err := all[0].Update(t.Context(), addOne); err != nil {
		t.Errorf("the one that hung does not recover: %v", err)
	}
	wantMark(t, all[1], "3")
}

func testSeen(t *testing.T, _ *databases, _ string, all []*store.Postgres) {
	err := all[0].View(t.Context(), func(tx *store.Tx) error {
		seen, err := tx.Replicas()
		if len(seen) != 3 || seen[0].ID == seen[1].ID || time.Since(seen[0].BeatAt).Abs() > time.Minute {
			t.Errorf("replicas %+v", seen)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A server that was the first and is a standby now refuses to write; when
// there is one again that writes, updates go on.
func testReadOnly(t *testing.T, _ *databases, url string, all []*store.Postgres) {
	if err := all[0].Update(t.Context(), addOne); err != nil {
		t.Fatal(err)
	}
	c := admin(t, url)
	name := url[strings.LastIndex(url, "/")+1 : strings.Index(url, "?")]
	set := func(readOnly string) {
		t.Helper()
		_, err := c.Exec(t.Context(), "SET default_transaction_read_only = off; ALTER DATABASE "+name+" SET default_transaction_read_only = "+readOnly)
		if err == nil {
			_, err = c.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("on")
	if err := all[0].Update(t.Context(), addOne); err == nil {
		t.Error("wrote where nobody can")
	}
	wantMark(t, all[0], "1")
	set("off")
	if err := all[0].Update(t.Context(), addOne); err != nil {
		t.Error(err)
	}
	wantMark(t, all[0], "2")
}

// Whoever waits in vain for its turn is told so, and has it when it comes.
func TestAnUpdateDoesNotWaitForever(t *testing.T) {
	url := newDatabases(t).url(t)
	s := openPostgres(t, url+"&lock_timeout=100")
	c := admin(t, url)
	lock := func(query string) {
		t.Helper()
		var done bool
		if err := c.QueryRow(t.Context(), query, int64(0x6d69647761746368)).Scan(&done); err != nil || !done {
			t.Fatalf("%t %v", done, err)
		}
	}
	lock("SELECT pg_try_advisory_lock($1)")
	for range 2 {
		if err := s.Update(t.Context(), addOne); err == nil || !strings.Contains(err.Error(), "lock timeout") {
			t.Errorf("updated beside another: %v", err)
		}
	}
	lock("SELECT pg_advisory_unlock($1)")
	if err := s.Update(t.Context(), addOne); err != nil {
		t.Error(err)
	}
	wantMark(t, s, "1")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// A server that is killed and comes back has all that it had acknowledged, and
// replicas need not be started again.
func TestAServerThatDiesComesBack(t *testing.T) {
	d := newDatabases(t)
	url := d.url(t)
	s := openPostgres(t, url)
	n := 0
	for ; n < 5; n++ {
		if err := s.Update(t.Context(), addOne); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.server.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); ; n++ { // what serves the connection outlives it for a moment
		if err := s.Update(t.Context(), addOne); err != nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("updates what is not there")
		}
	}
	if err := s.View(t.Context(), func(*store.Tx) error { return nil }); err == nil {
		t.Error("viewed what is not there")
	}
	d.restart(t)
	if err := s.Update(t.Context(), addOne); err != nil {
		t.Error(err)
	}
	wantMark(t, s, fmt.Sprint(n+1))
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func TestErrorsShowNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://midwatch:s3cr3t@127.0.0.1:1/midwatch", "postgres://midwatch:s3cr3t@127.0.0.1:port/midwatch",
		"postgres://midwatch:s3cr3t%zz@127.0.0.1:1/midwatch", "postgres://midwatch:s3cr3t@127.0.0.1:1/midwatch?sslrootcert=/none&sslmode=verify-full",
		"host=127.0.0.1 password=s3cr3t", "postgres://127.0.0.1:1/midwatch?password=s3cr3t", "mysql://a:s3cr3t@b/c",
	} {
		_, err := store.Open(t.Context(), store.Config{URL: url})
		if err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
