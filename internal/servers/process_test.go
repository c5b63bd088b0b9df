package servers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleVar makes this test binary one of the programs that the tests run.
const roleVar = "SERVERS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		os.Exit(m.Run())
	case "server":
		serveUntilKilled()
	case "broken":
		fmt.Println("the port is made of cheese")
		os.Exit(3)
	case "parent":
		beParent(func(ctx context.Context) (*Process, error) {
			return Start(ctx, testSpec(os.Args[1], os.Args[2], "server"))
		})
	case "postgres":
		beParent(func(ctx context.Context) (*Process, error) {
			p, err := StartPostgres(ctx, PostgresSpec{Listen: os.Args[1], Dir: os.Args[2]})
			if err != nil {
				return nil, err
			}
			return p.Process, nil
		})
	}
}

func serveUntilKilled() {
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	fmt.Println(http.ListenAndServe(os.Args[1], h)) //nolint:gosec // a test's own client.
}

// beParent starts a server, says which, and waits to be killed.
func beParent(start func(context.Context) (*Process, error)) {
	p, err := start(context.Background())
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(p.PID())
	select {}
}

func testSpec(addr, log, role string) Spec {
	return Spec{
		Name: "child", Path: os.Args[0], Args: []string{addr}, Env: []string{roleVar + "=" + role},
		LogFile: log, Ready: "http://" + addr, Timeout: 20 * time.Second,
	}
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func TestProcessIsReadyAndStops(t *testing.T) {
	addr := freeAddr(t)
	p, err := Start(t.Context(), testSpec(addr, filepath.Join(t.TempDir(), "log"), "server"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("started, but nothing listens: %v", err)
	}
	conn.Close()
	for range 2 { // stopping what has stopped is no error
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-p.Done():
	default:
		t.Error("stopped, but not done")
	}
}

func TestErrorCarriesWhatTheProgramPrinted(t *testing.T) {
	_, err := Start(t.Context(), testSpec(freeAddr(t), filepath.Join(t.TempDir(), "log"), "broken"))
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "made of cheese") {
		t.Errorf("error %v, want exit status 3 and what was printed", err)
	}
}

func TestChildEndsWithAParentThatIsKilled(t *testing.T) {
	for _, role := range []string{"parent", "postgres"} {
		t.Run(role, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], freeAddr(t), filepath.Join(t.TempDir(), "child"))
			cmd.Env = append(os.Environ(), roleVar+"="+role)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var text [64]byte
			n, err := out.Read(text[:])
			if err != nil {
				t.Fatal(err)
			}
			pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
			if err != nil || !runs(pid) {
				t.Fatalf("the child %q does not run: %v", text[:n], err)
			}
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed, which is an error
			waitForEnd(t, pid)
		})
	}
}

func waitForEnd(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for runs(pid) {
		select {
		case <-deadline:
			t.Fatal("the child has outlived its parent")
		case <-tick.C:
		}
	}
}

// runs tells whether a process runs; one that waits to be buried does not.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
