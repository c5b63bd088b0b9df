// Command demo runs Midwatch's demo: three clusters, an outage, and the page
// it causes. "make demo" builds what it needs and calls it; the demo itself
// is in the folder demo.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/midwatch-slo/midwatch/demo"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

func main() {
	servers.EndWithParent()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := demo.Main(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
