// Package demo runs three clusters on one machine, breaks one of them, and
// tells what Midwatch makes of it. It is a program, not a part of Midwatch:
// nothing of the product knows it.
package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/demo/stack"
	"github.com/midwatch-slo/midwatch/demo/story"
	"github.com/midwatch-slo/midwatch/demo/terminal"
	"github.com/midwatch-slo/midwatch/demo/traffic"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// limit bounds a demo that checks itself.
const limit = 20 * time.Minute

// Main runs the demo, or the part of it that the first argument names, and
// returns the exit code: 0 when all went as it should, 1 when not, 2 when it
// was called wrongly.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	parts := map[string]func(context.Context, []string, io.Writer) error{"shop": runShop, "providers": runProviders}
	run := func(ctx context.Context, args []string) error { return runDemo(ctx, args, stdout, stderr) }
	if len(args) > 0 && parts[args[0]] != nil {
		part := parts[args[0]]
		run = func(ctx context.Context, args []string) error { return part(ctx, args[1:], stderr) }
	}
	switch err := run(ctx, args); {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usageError{}):
		return 2
	case errors.Is(err, errTold):
		return 1
	default:
		fmt.Fprintf(stderr, "demo: %v\n", err)
		return 1
	}
}

// usageError is a wrong flag, which the flag package has reported.
type usageError struct{ error }

// errTold ends a demo that has said what is wrong.
var errTold = errors.New("the demo has failed")

// options are the demo's flags.
type options struct {
	port int
	auto bool
}

const about = `Runs three Prometheus with 30 days of history, a Loki, a shop in each cluster
and Midwatch, breaks a database pool, and tells what happens. Then everything
stays until Ctrl-C. With CI=true it acknowledges by itself, checks each step,
stops everything and exits with 0 or 1. Data and logs are in .cache/demo.

`

func parseFlags(args []string, stderr io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&o.port, "port", stack.DefaultBase, "first of the ports on loopback: Midwatch; +1 to +3 the Prometheus, +4 Loki, +5 WeCom, +6 the inbox, +7 SMTP, +11 to +33 the shops")
	f.BoolVar(&o.auto, "auto", os.Getenv("CI") == "true", "acknowledge by itself, check each step, and stop at the end (CI=true sets it)")
	f.Usage = func() {
		_, _ = io.WriteString(stderr, about)
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usageError{err}
	}
	return o, nil
}

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	if o.auto {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, fmt.Errorf("the demo takes longer than %s", limit))
		defer cancel()
	}
	c, err := newConfig(o)
	if err != nil {
		return err
	}
	t := terminal.New(stdout, time.Now())
	c.Tell = t.Tell
	t.Say(terminal.Bold, "three clusters, thirty days, one outage: starting")
	s, err := stack.Start(ctx, c)
	if err != nil && ctx.Err() == nil {
		t.Say(terminal.Bad, "cannot start:\n%s", err)
		err = errTold
	}
	if err == nil {
		err = play(ctx, o, s, t)
	}
	if ctx.Err() != nil && !o.auto {
		err = nil // somebody has seen enough
	} else if ctx.Err() != nil {
		err = errors.Join(err, context.Cause(ctx))
	}
	t.Say(terminal.Dim, "stopping everything")
	return errors.Join(err, s.Stop())
}

func newConfig(o options) (stack.Config, error) {
	root, err := servers.Root()
	if err != nil {
		return stack.Config{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return stack.Config{}, fmt.Errorf("find this program: %w", err)
	}
	ports, err := stack.NewPorts(o.port)
	return stack.Config{Root: root, Dir: filepath.Join(root, ".cache", "demo"), Ports: ports, Self: self}, err
}

// play tells the story; without somebody who checks, everything then stays
// until the demo is interrupted.
func play(ctx context.Context, o options, s *stack.Stack, t *terminal.Terminal) error {
	t.Print(urls(s))
	err := story.Run(ctx, story.Config{
		Places: places(s.Ports), Terminal: t, Auto: o.auto, Lost: s.Lost(),
		Ack:      func(id int64) (string, error) { return acknowledge(ctx, s, id) },
		HowToAck: func(id int64) string { return strings.Join(ackCommand(s, id), " ") },
	})
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		t.Say(terminal.Bad, "not as it should be:\n%s", err)
		err = errTold
	}
	if o.auto {
		return err
	}
	t.Print(urls(s))
	t.Say(terminal.Bold, "everything keeps running until Ctrl-C")
	select {
	case <-ctx.Done():
		return err
	case lost := <-s.Lost():
		return errors.Join(err, lost)
	}
}

func places(p stack.Ports) story.Places {
	out := story.Places{
		Midwatch: "http://" + p.Midwatch(), Prometheus: map[string]string{},
		Payment: "http://" + p.App(0, traffic.PaymentService), WeCom: "http://" + p.WeCom(), Inbox: "http://" + p.Inbox(), Loki: "http://" + p.Loki(),
	}
	for n, c := range traffic.Clusters() {
		out.Prometheus[c.Name] = "http://" + p.Prometheus(n)
	}
	return out
}

// ackCommand is the command that acknowledges an incident.
func ackCommand(s *stack.Stack, id int64) []string {
	return []string{"bin/midwatch", "incident", "ack", fmt.Sprint(id), "--url", "http://" + s.Ports.Midwatch(), "--token-file", relative(s.Root, s.TokenFile())}
}

func relative(root, path string) string {
	if r, err := filepath.Rel(root, path); err == nil {
		return r
	}
	return path
}

func acknowledge(ctx context.Context, s *stack.Stack, id int64) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	args := ackCommand(s, id)
	cmd := exec.CommandContext(ctx, filepath.Join(s.Root, args[0]), args[1:]...) //nolint:gosec // our own program, our own arguments.
	cmd.Dir = s.Root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// urls is a table of what there is to see.
func urls(s *stack.Stack) string {
	p := s.Ports
	rows := [][2]string{{"Midwatch", p.Midwatch()}}
	for n, c := range traffic.Clusters() {
		rows = append(rows, [2]string{"Prometheus " + c.Name, p.Prometheus(n)})
	}
	rows = append(rows, [2]string{"WeCom, what arrived", p.WeCom()}, [2]string{"Mail, what arrived", p.Inbox()}, [2]string{"Loki", p.Loki()})
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "  %-22s http://%s\n", r[0], r[1])
	}
	fmt.Fprintf(&b, "  %-22s %s\n", "data and logs", relative(s.Root, s.Dir))
	return b.String()
}
