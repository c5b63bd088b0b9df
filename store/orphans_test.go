package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/store"
)

// claimVar makes this test binary a replica that claims all pages and waits to
// be killed.
const claimVar = "STORE_TEST_CLAIM"

func claimAndWait(url string) int {
	ctx := context.Background()
	s, err := store.OpenPostgres(ctx, url)
	if err == nil {
		err = s.Update(ctx, func(tx *store.Tx) error {
			pages, err := tx.Claim("wecom", time.Now(), time.Now().Add(time.Hour), 100)
			fmt.Println(len(pages))
			return err
		})
	}
	fmt.Println(err)
	if err != nil {
		return 1
	}
	select {}
}

// A replica is stopped, as by a debugger, or a host that swaps, and another is
// killed: what they had claimed is free after some seconds, long before their
// leases end.
func testDeadReplica(t *testing.T, _ *databases, url string, all []*store.Postgres) {
	enqueue(t, all[0], 10)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), claimVar+"="+url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"10", "<nil>"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the other replica says %q, want %q", lines.Text(), want)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed, which is an error
	}()
	begun := time.Now()
	for len(claimAll(t, all[1])) == 0 {
		if time.Since(begun) > 30*time.Second {
			t.Fatal("the pages are still the dead replica's")
		}
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
	if took := time.Since(begun); took < 5*time.Second {
		t.Errorf("freed after %s: a replica that is busy for a moment would lose its pages", took)
	}
}

func claimAll(t *testing.T, s *store.Postgres) (pages []page.Page) {
	t.Helper()
	err := s.Update(t.Context(), func(tx *store.Tx) (err error) {
		pages, err = tx.Claim("wecom", time.Now(), time.Now().Add(time.Hour), 100)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// When the database was away, every replica is without a beat: that one has
// its first beat before another proves nothing.
func TestADatabaseThatWasAwayFreesNothing(t *testing.T) {
	d := newDatabases(t)
	all := replicas(t, d.url(t))
	enqueue(t, all[2], 10) // whose beat comes last
	if n := len(claimAll(t, all[2])); n != 10 {
		t.Fatalf("claimed %d pages, want 10", n)
	}
	if err := d.server.Kill(); err != nil {
		t.Fatal(err)
	}
	pass(t, 11*time.Second) // longer than a replica may be without a beat
	d.restart(t)
	for begun := time.Now(); time.Since(begun) < 6*time.Second; pass(t, 200*time.Millisecond) {
		if n := len(claimAll(t, all[0])); n > 0 {
			t.Fatalf("%d pages of a replica that lives are free %s after the database is back", n, time.Since(begun))
		}
	}
	closeAll(t, all)
}

func pass(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	case <-time.After(d):
	}
}
