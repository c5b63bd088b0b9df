package demo

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/midwatch-slo/midwatch/demo/shop"
	"github.com/midwatch-slo/midwatch/demo/stack"
	"github.com/midwatch-slo/midwatch/demo/traffic"
	"github.com/midwatch-slo/midwatch/internal/standin/inbox"
	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
)

// runShop is the shop of one cluster, as a process of its own.
func runShop(ctx context.Context, args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("shop", flag.ContinueOnError)
	f.SetOutput(stderr)
	name := f.String("cluster", "", "which cluster's")
	port := f.Int("port", stack.DefaultBase, "first port of the demo's")
	loki := f.String("loki", "", "URL of the Loki for logs")
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	ports, err := stack.NewPorts(*port)
	if err != nil {
		return usageError{err}
	}
	n, c, err := traffic.Find(*name)
	if err != nil {
		return usageError{err}
	}
	listeners, err := listen(ctx, ports, n)
	if err != nil {
		return err
	}
	return shop.Run(ctx, shop.Config{
		Cluster: c, Listeners: listeners, Loki: *loki, Logger: slog.New(slog.NewTextHandler(stderr, nil)),
	})
}

func listen(ctx context.Context, ports stack.Ports, n int) (map[string]net.Listener, error) {
	listeners := map[string]net.Listener{}
	for _, app := range traffic.Apps() {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", ports.App(n, app))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", app, err)
		}
		listeners[app] = l
	}
	return listeners, nil
}

// runProviders is the stand-ins for WeCom and a mail server.
func runProviders(ctx context.Context, args []string, stderr io.Writer) error {
	f := flag.NewFlagSet("providers", flag.ContinueOnError)
	f.SetOutput(stderr)
	port := f.Int("port", stack.DefaultBase, "first port of the demo's")
	if err := f.Parse(args); err != nil {
		return usageError{err}
	}
	ports, err := stack.NewPorts(*port)
	if err != nil {
		return usageError{err}
	}
	mail := inbox.New(inbox.Config{})
	// The company is the one of examples/shop/midwatch.yaml.
	company := wecom.New(wecom.Config{CorpID: "ww-demo", Secret: "demo-secret", AgentID: 1000002})
	var lc net.ListenConfig
	smtp, err := lc.Listen(ctx, "tcp", ports.SMTP())
	if err != nil {
		return fmt.Errorf("mail server: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return mail.Serve(smtp) })
	defer context.AfterFunc(ctx, func() { _ = mail.Close() })()
	g.Go(func() error { return serve(ctx, ports.WeCom(), company) })
	g.Go(func() error { return serve(ctx, ports.Inbox(), mail) })
	return g.Wait()
}

// serve answers HTTP until ctx ends.
func serve(ctx context.Context, addr string, h http.Handler) error {
	s := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 5 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	if err := s.ListenAndServe(); ctx.Err() == nil {
		return fmt.Errorf("serve %s: %w", addr, err)
	}
	return nil
}
