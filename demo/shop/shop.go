// Package shop is one cluster's shop in the demo: user-center, order-service
// and payment-service as real HTTP servers with metrics and logs, the people
// who use them, and a database pool that can be made to leak. It is nobody's
// example of a shop.
package shop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// Config says where a shop runs.
type Config struct {
	Cluster   traffic.Cluster
	Listeners map[string]net.Listener // by app
	Loki      string                  // URL; "" sends no logs
	Logger    *slog.Logger
}

// shop is the three services, as they reach each other.
type shop struct {
	Config
	client  *http.Client
	logs    *shipper
	handler map[string]http.Handler // by app
}

// Run serves the shop and sends it its traffic, until ctx ends.
func Run(ctx context.Context, c Config) error {
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 200, IdleConnTimeout: time.Minute},
	}
	s := &shop{
		Config: c, client: client, handler: map[string]http.Handler{},
		logs: &shipper{url: c.Loki, cluster: c.Cluster.Name, client: client, logger: c.Logger},
	}
	if err := s.build(); err != nil {
		return fmt.Errorf("build the shop of %s: %w", c.Cluster.Name, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() { s.logs.run(ctx) })
	wg.Go(func() { s.load(ctx) })
	err := s.serve(ctx)
	cancel()
	wg.Wait()
	return err
}

func (s *shop) build() error {
	pay, err := newPayment(s.Cluster, s.logs)
	users := newService(traffic.UserCenter, s.Cluster, s.logs)
	orders := newService(traffic.OrderService, s.Cluster, s.logs)
	s.handler[traffic.PaymentService] = pay.mux
	s.handler[traffic.UserCenter] = users.mux
	s.handler[traffic.OrderService] = orders.mux
	for _, x := range []*service{users, orders, pay.service} {
		x.remember(time.Now())
	}
	look := func(ctx context.Context, _ trace, _ *http.Request) error {
		return pause(ctx, 3*time.Millisecond)
	}
	return errors.Join(
		err,
		users.handle(http.MethodGet, traffic.PathUser, look),
		users.handle(http.MethodPost, traffic.PathLogin, look),
		orders.handle(http.MethodGet, traffic.PathOrder, look),
		orders.handle(http.MethodPost, traffic.PathOrders, s.order(orders)),
	)
}

// order places an order: it asks user-center who it is for, and
// payment-service for the money. An order that is not paid yet is still an
// order; it is charged again later.
func (s *shop) order(orders *service) work {
	return func(ctx context.Context, t trace, _ *http.Request) error {
		if err := s.call(ctx, t, traffic.UserCenter, http.MethodGet, "/api/users/"+orders.number()); err != nil {
			orders.log(t, levelWarn, "USER_UNKNOWN", "order accepted without the user's profile: "+err.Error())
		}
		if err := s.call(ctx, t, traffic.PaymentService, http.MethodPost, traffic.PathPay); err != nil {
			orders.log(t, levelWarn, "PAYMENT_DEFERRED", "order accepted, payment is tried again later: "+err.Error())
		}
		return nil
	}
}

func (s *service) number() string { return fmt.Sprint(100_000 + s.chance.uint64()%900_000) }

// call asks a service over HTTP; an answer other than 2xx is an error.
func (s *shop) call(ctx context.Context, t trace, app, method, path string) error {
	url := "http://" + s.Listeners[app].Addr().String() + path
	req, err := http.NewRequestWithContext(ctx, method, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask %s: %w", app, err)
	}
	t.setOn(req.Header)
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask %s: %w", app, err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", app, resp.Status)
	}
	return nil
}

func (s *shop) serve(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	errs := make(chan error, len(s.Listeners))
	for app, l := range s.Listeners {
		srv := &http.Server{Handler: s.handler[app], ReadHeaderTimeout: 5 * time.Second}
		wg.Go(func() { errs <- fmt.Errorf("serve %s: %w", app, srv.Serve(l)) })
		defer srv.Close() // what is in flight is of no worth
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-errs:
		return err
	}
}

// load sends the traffic that comes from outside: each route at its own rate,
// at random instants, whether or not earlier requests have been answered.
func (s *shop) load(ctx context.Context) {
	var wg sync.WaitGroup
	for _, r := range s.Cluster.Routes {
		if r.Direct > 0 {
			wg.Go(func() { s.arrivals(ctx, r) })
		}
	}
	wg.Wait()
}

const (
	inFlight = 500                    // requests of one route that have not been answered, at most
	behind   = 500 * time.Millisecond // after a pause of the machine's, what was not sent is not made up for
)

func (s *shop) arrivals(ctx context.Context, r traffic.Route) {
	dice := newChance(s.Cluster.Seed(), r.Method+r.Path)
	slots := make(chan struct{}, inFlight)
	var wg sync.WaitGroup
	defer wg.Wait()
	for next := time.Now(); ; {
		next = next.Add(time.Duration(dice.exp() / r.Direct * float64(time.Second)))
		if pause(ctx, time.Until(next)) != nil {
			return
		}
		if time.Since(next) > behind {
			next = time.Now()
		}
		path := strings.ReplaceAll(r.Path, ":id", fmt.Sprint(100_000+dice.uint64()%900_000))
		t := dice.newTrace()
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			_ = s.call(ctx, t, r.App, r.Method, path) // the service has counted and logged it
		})
	}
}
