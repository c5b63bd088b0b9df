package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/app"
	"github.com/midwatch-slo/midwatch/federation"
)

// clusterFlags say whom to ask how things stand: one Prometheus, or every
// cluster of a configuration.
type clusterFlags struct {
	prometheus, config string
	timeout            duration
}

// bind gives a command the flags.
func (f *clusterFlags) bind(c *cobra.Command) {
	f.timeout = duration(5 * time.Second)
	c.Flags().StringVar(&f.prometheus, "prometheus", "", "address of a Prometheus, or of what answers like one, to ask how things stand")
	c.Flags().StringVar(&f.config, "config", "", "configuration file whose clusters are asked how things stand")
	c.Flags().Var(&f.timeout, "timeout", "how long each answer is waited for")
	_ = c.MarkFlagFilename("config", "yaml", "yml")
}

// federation returns whom to ask, and what lets go of it; nil and nothing to
// do when nobody is to be asked.
func (f clusterFlags) federation() (*federation.Federation, func(), error) {
	c := federation.Config{Logger: slog.New(slog.DiscardHandler), Timeout: time.Duration(f.timeout)}
	switch {
	case f.prometheus == "" && f.config == "":
		return nil, func() {}, nil
	case f.prometheus != "" && f.config != "":
		return nil, nil, usageError{errors.New("--prometheus and --config are both given: one of them says whom to ask")}
	case f.prometheus != "":
		u, err := url.Parse(f.prometheus)
		if err != nil || u.Host == "" {
			return nil, nil, usageError{fmt.Errorf("--prometheus %q is no address, such as http://localhost:9090", withoutUser(f.prometheus))}
		}
		c.Clusters = []federation.Cluster{{Name: "prometheus", URLs: []string{f.prometheus}, Labels: map[string]string{"prometheus": u.Host}}}
	default:
		configured, err := app.LoadConfig(f.config)
		if err != nil {
			return nil, nil, err
		}
		c.Clusters = configured.Clusters
	}
	all, err := federation.New(c)
	if err != nil {
		return nil, nil, err
	}
	return all, all.Close, nil
}
