package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/prometheus/common/promslog"
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/app"
)

func serveCommand() *cobra.Command {
	var o app.Options
	level, format := promslog.NewLevel(), promslog.NewFormat()
	c := &cobra.Command{
		Use:   "serve --config FILE",
		Short: "take alerts in, page, and answer queries over all clusters",
		Long: `Runs the server: the Prometheus HTTP API over all clusters under /api/v1/,
Alertmanager's API for alerts under /api/v2/, and the UI under /.

SIGHUP, or POST /-/reload with a token, reads the configuration again: a wrong
one changes nothing. SIGTERM and Ctrl-C stop it after what is being sent.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Logger = promslog.New(&promslog.Config{Level: level, Format: format, Writer: cmd.ErrOrStderr()})
			return serve(cmd, o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.ConfigFile, "config", "midwatch.yaml", "configuration file")
	f.StringVar(&o.ListenAddress, "web.listen-address", ":9193", "address to listen on")
	f.Var(&o.Cache, "cache", "keep answers to range queries, of a past that does not change, up to this size, such as 256MiB (default: federation.cache of the configuration)")
	f.Var(flagOf{level}, "log.level", "least level to log: debug, info, warn or error")
	f.Var(flagOf{format}, "log.format", "how to log: logfmt or json")
	_ = c.MarkFlagFilename("config", "yaml", "yml") // it fails only for a flag that is not there
	return c
}

// gcPercent is how much the heap may grow between collections, unless GOGC
// says otherwise: a storm of alerts is taken in a tenth faster than with the
// usual 100, and 50,000 of them still fit into 200 MiB.
const gcPercent = 200

func serve(cmd *cobra.Command, o app.Options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	hup := make(chan os.Signal, 1) // before all else: while it starts, the signal must not end the process
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	a, err := app.New(cmd.Context(), o)
	if err != nil {
		return err
	}
	go reloadOn(cmd, hup, a, o.Logger)
	return a.Run(cmd.Context())
}

func reloadOn(cmd *cobra.Command, hup <-chan os.Signal, a *app.App, log *slog.Logger) {
	for {
		select {
		case <-cmd.Context().Done():
			return
		case <-hup:
			if err := a.Reload(alert.WithActor(alert.WithVia(cmd.Context(), "file"), "SIGHUP")); err != nil {
				log.Error("configuration not reloaded", "err", err)
			}
		}
	}
}

// flagOf makes a flag of the promslog kind one of cobra's.
type flagOf struct {
	value interface {
		fmt.Stringer
		Set(s string) error
	}
}

func (f flagOf) String() string {
	if f.value == nil {
		return ""
	}
	return f.value.String()
}
func (f flagOf) Set(s string) error { return f.value.Set(s) }
func (flagOf) Type() string         { return "string" }
