// Package servers runs real servers (Prometheus, Loki, PostgreSQL, and any program) as
// child processes, for tests and for the demo. It knows nothing of what they
// are asked.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// stopGrace is how long a process may take to stop before it is killed.
const stopGrace = 15 * time.Second

// Spec says how to run a program.
type Spec struct {
	Name    string   // for errors
	Path    string   // of the program
	Args    []string // without the program's name
	Dir     string   // working directory; "" is the caller's
	Env     []string // added to the caller's
	LogFile string   // what it prints; required
	Ready   string   // URL that answers 200 when it is ready; "" does not wait
	Timeout time.Duration

	As         *syscall.Credential            // whom it runs as; nil: the caller
	Answers    func(ctx context.Context) bool // tells whether it is ready, in the place of Ready
	StopSignal syscall.Signal                 // that asks it to end; 0 is SIGTERM
}

// Process is a running child.
type Process struct {
	spec Spec
	cmd  *exec.Cmd
	done chan struct{}
	err  error // of Wait, once done is closed
}

// Start runs a program and waits until it is ready. The child does not
// outlive the caller. An error carries the end of what the child printed.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	if spec.Timeout == 0 {
		spec.Timeout = time.Minute
	}
	if spec.StopSignal == 0 {
		spec.StopSignal = syscall.SIGTERM
	}
	logFile, err := os.OpenFile(spec.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer logFile.Close()
	cmd := exec.Command(spec.Path, spec.Args...) //nolint:noctx // it ends by Stop, in order, not by a context.
	cmd.Dir, cmd.Stdout, cmd.Stderr = spec.Dir, logFile, logFile
	cmd.Env = append(os.Environ(), spec.Env...)
	cmd.SysProcAttr = childAttributes()
	cmd.SysProcAttr.Credential = spec.As
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := p.waitReady(ctx); err != nil {
		return nil, errors.Join(err, p.Kill())
	}
	return p, nil
}

func (p *Process) waitReady(ctx context.Context) error {
	ready := p.spec.Answers
	if ready == nil {
		if p.spec.Ready == "" {
			return nil
		}
		ready = func(ctx context.Context) bool { return answers(ctx, p.spec.Ready) }
	}
	ctx, cancel := context.WithTimeout(ctx, p.spec.Timeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.spec.Name, p.spec.Timeout, ctx.Err(), p.tail())
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready: %w\n%s", p.spec.Name, p.err, p.tail())
		case <-tick.C:
		}
	}
}

func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}

// tail returns the last lines that the process printed.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.spec.LogFile)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-12):], []byte("\n")))
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end and waits; after 15 s it is killed, which is
// an error. Stopping one that has ended is none.
func (p *Process) Stop() error {
	if p == nil {
		return nil
	}
	return p.end(p.spec.StopSignal)
}

func (p *Process) end(signal syscall.Signal) error {
	_ = p.cmd.Process.Signal(signal) // it may have ended by itself
	select {
	case <-p.done:
		return nil
	case <-time.After(stopGrace):
		return errors.Join(fmt.Errorf("stop %s: still running after %s, killed", p.spec.Name, stopGrace), p.Kill())
	}
}

// Kill ends the process with SIGKILL and waits for its end.
func (p *Process) Kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.spec.Name, err)
	}
	<-p.done
	return nil
}

// FreeAddr returns a loopback address on a port that nothing listens on.
func FreeAddr() (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// Root returns the folder of the repository that the working directory is in.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "prometheus", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no folder above the working directory has tools/prometheus/go.mod")
		}
		dir = parent
	}
}

// Binary returns the path of a server that "make tools" has built.
func Binary(name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(root, ".cache", "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not built: run \"make tools\"", name)
	}
	return path, nil
}
