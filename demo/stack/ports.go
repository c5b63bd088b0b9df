package stack

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// DefaultBase is the first port of the demo's, and the one that the example
// configuration is written for.
const DefaultBase = 18000

// Ports are the addresses of everything that the demo runs, on loopback.
type Ports struct{ base int }

// NewPorts returns the addresses from a first port on; the last one is 33
// above it.
func NewPorts(base int) (Ports, error) {
	if base < 1024 || base > 65000 {
		return Ports{}, fmt.Errorf("base port %d is not between 1024 and 65000", base)
	}
	return Ports{base}, nil
}

func (p Ports) at(n int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.base+n)) }

// Midwatch is where Midwatch listens.
func (p Ports) Midwatch() string { return p.at(0) }

// Prometheus is where the n-th cluster's Prometheus listens, from 0.
func (p Ports) Prometheus(n int) string { return p.at(1 + n) }

// Loki is where Loki listens.
func (p Ports) Loki() string { return p.at(4) }

// WeCom is where the stand-in for the WeCom API listens.
func (p Ports) WeCom() string { return p.at(5) }

// Inbox is where the inbox page is.
func (p Ports) Inbox() string { return p.at(6) }

// SMTP is where the mail server listens.
func (p Ports) SMTP() string { return p.at(7) }

// App is where a service of the n-th cluster listens, from 0.
func (p Ports) App(n int, app string) string {
	for i, a := range traffic.Apps() {
		if a == app {
			return p.at(10*(n+1) + i + 1)
		}
	}
	return ""
}

// all returns every address with what it is for.
func (p Ports) all() map[string]string {
	all := map[string]string{
		p.Midwatch(): "Midwatch", p.Loki(): "Loki", p.WeCom(): "the WeCom stand-in", p.Inbox(): "the inbox page", p.SMTP(): "the mail server",
	}
	for n, c := range traffic.Clusters() {
		all[p.Prometheus(n)] = "the Prometheus of " + c.Name
		for _, app := range traffic.Apps() {
			all[p.App(n, app)] = app + " of " + c.Name
		}
	}
	return all
}

// Free reports every address that something listens on already.
func (p Ports) Free(ctx context.Context) error {
	var errs []error
	all := p.all()
	for _, addr := range slices.Sorted(maps.Keys(all)) {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is taken, and %s needs it", addr, all[addr]))
			continue
		}
		errs = append(errs, l.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w\nis another demo running? --port chooses other ports", err)
	}
	return nil
}

// moved returns a configuration that is written for the default ports as one
// for these.
func (p Ports) moved(text string) string {
	if p.base == DefaultBase {
		return text
	}
	var pairs []string
	for addr := range p.all() {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			continue
		}
		pairs = append(pairs, net.JoinHostPort("127.0.0.1", strconv.Itoa(n-p.base+DefaultBase)), addr)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
