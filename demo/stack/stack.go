// Package stack starts and stops what the demo runs, each as a child process:
// three Prometheus with a past, Loki, the shops, the stand-ins for the
// providers, and Midwatch. It does not watch what they do.
package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/demo/traffic"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// Intervals of the demo's Prometheus.
const (
	Scrape = 5 * time.Second
	Rules  = 10 * time.Second
)

// Config says what to start and where.
type Config struct {
	Root  string // of the repository
	Dir   string // for data and logs; it is wiped
	Ports Ports
	Self  string                           // this program, for the children that are part of it
	Bin   string                           // the midwatch that is shown; bin/midwatch when ""
	Tell  func(format string, args ...any) // of progress
}

// Stack is everything that runs.
type Stack struct {
	Config
	Began time.Time // when the shops began, and the history ends

	lock    *os.File // held while the demo runs
	mu      sync.Mutex
	running []child // in the order of their start
	lost    chan error
}

type child struct {
	name string
	*servers.Process
}

// Start starts everything. The stack is to be stopped also after an error.
func Start(ctx context.Context, c Config) (*Stack, error) {
	s := &Stack{Config: c, lost: make(chan error, 16)}
	if err := s.prepare(ctx); err != nil {
		return s, err
	}
	s.Began = time.Now()
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.startShops(gctx) })
	g.Go(func() error { return s.startLoki(gctx) })
	g.Go(func() error { return s.startProviders(gctx) })
	g.Go(func() error { return s.startClusters(gctx) })
	if err := g.Wait(); err != nil {
		return s, err
	}
	return s, s.startMidwatch(ctx)
}

// prepare checks that all can run, and empties the folder.
func (s *Stack) prepare(ctx context.Context) error {
	for _, name := range []string{"prometheus", "promtool", "loki"} {
		if _, err := servers.Binary(name); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.midwatch()); err != nil {
		return errors.New("midwatch is not built: run \"make build\"")
	}
	if err := s.Ports.Free(ctx); err != nil {
		return err
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	if err := os.RemoveAll(s.Dir); err != nil {
		return fmt.Errorf("empty the demo's folder: %w", err)
	}
	for _, dir := range []string{s.logs(), s.path("rules")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the demo's folder: %w", err)
		}
	}
	return s.copyExample()
}

// takeLock keeps a second demo from this one's folder, whatever its ports.
func (s *Stack) takeLock() (err error) {
	name := s.Dir + ".lock"
	if s.lock, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return fmt.Errorf("lock the demo's folder: %w", err)
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("another demo runs from this repository: %s is locked (%w)", name, err)
	}
	return nil
}

func (s *Stack) path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

func (s *Stack) logs() string { return s.path("log") }

func (s *Stack) midwatch() string {
	return cmp.Or(s.Bin, filepath.Join(s.Root, "bin", "midwatch"))
}

// ConfigFile is the configuration that Midwatch runs with.
func (s *Stack) ConfigFile() string { return s.path("config", "midwatch.yaml") }

// TokenFile is the token that acknowledges.
func (s *Stack) TokenFile() string { return s.path("config", "token") }

// add keeps a process, and says when it ends before it is stopped.
func (s *Stack) add(name string, p *servers.Process) {
	s.mu.Lock()
	s.running = append(s.running, child{name, p})
	s.mu.Unlock()
	go func() {
		<-p.Done()
		select {
		case s.lost <- fmt.Errorf("%s has ended by itself: see %s", name, s.logs()):
		default: // one is enough
		}
	}()
}

// Lost delivers an error when a process ends that nobody has stopped.
func (s *Stack) Lost() <-chan error { return s.lost }

// Stop stops everything: Midwatch first, while what it pages through still
// runs, the others together.
func (s *Stack) Stop() error {
	s.mu.Lock()
	running := s.running
	s.running = nil
	s.mu.Unlock()
	var errs []error
	if n := len(running); n > 0 && running[n-1].name == "midwatch" {
		errs = append(errs, running[n-1].Stop())
		running = running[:n-1]
	}
	var wg sync.WaitGroup
	stopped := make([]error, len(running))
	for i, c := range running {
		wg.Go(func() { stopped[i] = c.Stop() })
	}
	wg.Wait()
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(append(errs, stopped...)...)
}

func (s *Stack) startShops(ctx context.Context) error {
	for _, c := range traffic.Clusters() {
		name := "shop " + c.Name
		p, err := servers.Start(ctx, servers.Spec{
			Name: name, Path: s.Self,
			Args:    []string{"shop", "--cluster", c.Name, "--port", fmt.Sprint(s.Ports.base), "--loki", "http://" + s.Ports.Loki()},
			LogFile: filepath.Join(s.logs(), "shop-"+c.Name+".log"),
		})
		if err != nil {
			return err
		}
		s.add(name, p)
	}
	return nil
}

func (s *Stack) startProviders(ctx context.Context) error {
	p, err := servers.Start(ctx, servers.Spec{
		Name: "providers", Path: s.Self,
		Args:    []string{"providers", "--port", fmt.Sprint(s.Ports.base)},
		LogFile: filepath.Join(s.logs(), "providers.log"),
		Ready:   "http://" + s.Ports.Inbox() + "/",
	})
	if err != nil {
		return err
	}
	s.add("providers", p)
	return nil
}

func (s *Stack) startLoki(ctx context.Context) error {
	begin := time.Now()
	l, err := servers.StartLoki(ctx, servers.LokiSpec{Dir: s.path("loki"), Listen: s.Ports.Loki()})
	if err != nil {
		return err
	}
	s.add("loki", l.Process)
	s.Tell("Loki is ready after %s", time.Since(begin).Round(time.Second))
	return nil
}

func (s *Stack) startMidwatch(ctx context.Context) error {
	p, err := servers.Start(ctx, servers.Spec{
		Name: "midwatch", Path: s.midwatch(),
		Args:    []string{"serve", "--config", s.ConfigFile(), "--web.listen-address", s.Ports.Midwatch()},
		LogFile: filepath.Join(s.logs(), "midwatch.log"),
		Ready:   "http://" + s.Ports.Midwatch() + "/-/ready",
	})
	if err != nil {
		return err
	}
	s.add("midwatch", p)
	s.Tell("Midwatch is ready")
	return nil
}
