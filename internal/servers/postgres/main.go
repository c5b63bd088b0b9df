// Command postgres runs a PostgreSQL for measurements: it prints its URL and
// serves until it is told to stop, or whoever started it dies.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/midwatch-slo/midwatch/internal/servers"
)

func main() {
	dir := flag.String("dir", "", "folder for its data and log")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:gocritic // The signal's handler needs no end.
	}
}

func run(ctx context.Context, dir string) error {
	p, err := servers.StartPostgres(ctx, servers.PostgresSpec{Dir: dir})
	if err != nil {
		return err
	}
	fmt.Println(p.URL())
	<-ctx.Done()
	return p.Stop()
}
