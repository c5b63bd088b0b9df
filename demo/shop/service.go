package shop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

const namespace = traffic.Namespace

// Buckets are the bounds of http_server_requests_seconds, in seconds.
func Buckets() []float64 { return []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5} }

// Statuses are those that http_requests_total counts for a route, from zero
// on: a counter that begins with its first error hides that error from rate.
func Statuses(r traffic.Route) []int {
	s := []int{r.Status, traffic.ErrorStatus}
	if r.App == traffic.PaymentService {
		s = append(s, http.StatusServiceUnavailable)
	}
	return s
}

// failure is why a request was not answered as it should be.
type failure struct {
	status  int
	code    string // errorCode of the log line
	message string
}

func (f *failure) Error() string { return f.message }

// service is one of the shop's services in one cluster.
type service struct {
	app      string
	cluster  traffic.Cluster
	logs     *shipper
	chance   *chance
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	mux      *http.ServeMux
}

func newService(app string, c traffic.Cluster, logs *shipper) *service {
	s := &service{
		app: app, cluster: c, logs: logs, chance: newChance(c.Seed(), app),
		registry: prometheus.NewRegistry(), mux: http.NewServeMux(),
	}
	constant := prometheus.WrapRegistererWith(prometheus.Labels{"app": app}, s.registry)
	make := promauto.With(constant)
	s.requests = make.NewCounterVec(prometheus.CounterOpts{
		Name: "http_requests_total", Help: "Requests answered, by path and status.",
	}, []string{"status", "path"})
	s.seconds = make.NewHistogramVec(prometheus.HistogramOpts{
		Name: "http_server_requests_seconds", Help: "Time to answer a request.", Buckets: Buckets(),
	}, []string{"path"})
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return s
}

// work is what a route does for a request; its error is a *failure when the
// service is to blame.
type work func(ctx context.Context, t trace, r *http.Request) error

// handle serves one route of the service's.
func (s *service) handle(method, path string, do work) error {
	route, err := s.route(method, path)
	if err != nil {
		return err
	}
	for _, status := range Statuses(route) {
		s.requests.WithLabelValues(strconv.Itoa(status), path)
	}
	pattern := method + " " + strings.ReplaceAll(path, ":id", "{id}")
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		begin, t := time.Now(), s.chance.traceOf(r.Header)
		err := s.ordinary(route)
		if err == nil {
			err = do(r.Context(), t, r)
		}
		s.answer(w, r, route, t, begin, err)
	})
	return nil
}

func (s *service) route(method, path string) (traffic.Route, error) {
	for _, r := range s.cluster.Routes {
		if r.App == s.app && r.Method == method && r.Path == path {
			return r, nil
		}
	}
	return traffic.Route{}, fmt.Errorf("%s: no traffic for %s %s", s.app, method, path)
}

// ordinary fails as often as the service does on an ordinary day.
func (s *service) ordinary(r traffic.Route) error {
	if s.chance.float() >= r.Errors {
		return nil
	}
	return s.mishap()
}

// mishap is what goes wrong on an ordinary day.
func (s *service) mishap() *failure {
	f := &failure{status: traffic.ErrorStatus}
	switch s.app {
	case traffic.UserCenter:
		f.code, f.message = "CACHE_TIMEOUT", "RedisCommandTimeoutException: command timed out after 500ms"
	case traffic.OrderService:
		f.code, f.message = "ORDER_CONFLICT", "OptimisticLockException: the order was changed by another transaction"
	default:
		f.code, f.message = "ACQUIRER_ERROR", "AcquirerException: acquirer answered 502 Bad Gateway"
	}
	return f
}

func (s *service) answer(w http.ResponseWriter, r *http.Request, route traffic.Route, t trace, begin time.Time, err error) {
	took := time.Since(begin)
	status, level, code := route.Status, levelInfo, ""
	message := fmt.Sprintf("%s %s answered in %dms", r.Method, r.URL.Path, took.Milliseconds())
	if err != nil {
		status, level, message = traffic.ErrorStatus, levelError, err.Error()
	}
	if f := (*failure)(nil); errors.As(err, &f) {
		status, code = f.status, f.code
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "{\"status\":%d,\"traceId\":%q}\n", status, t.id) // the caller may have left
	s.requests.WithLabelValues(strconv.Itoa(status), route.Path).Inc()
	s.seconds.WithLabelValues(route.Path).Observe(took.Seconds())
	s.log(t, level, code, message)
}

func (s *service) log(t trace, level, code, message string) {
	s.logAt(time.Now(), t, level, code, message)
}

func (s *service) logAt(at time.Time, t trace, level, code, message string) {
	s.logs.add(at, line{
		Timestamp: at.Format(time.RFC3339Nano), Level: level, TraceID: t.id, SpanID: t.span,
		Service: s.app, Namespace: namespace, Pod: s.cluster.Pod(s.app), Node: s.cluster.Node(s.app),
		Message: message, ErrorCode: code,
	})
}

// The log of the time before a shop begins has every failure, and one in
// twenty of the other lines.
const (
	logged  = 30 * time.Minute
	thinned = 20
)

// remember writes the log of the time before now, as the service would have.
func (s *service) remember(now time.Time) {
	for _, r := range s.cluster.Routes {
		if r.App != s.app {
			continue
		}
		path, typical := strings.ReplaceAll(r.Path, ":id", s.number()), uint64(3)
		if s.app == traffic.PaymentService {
			typical += uint64(traffic.Query.Milliseconds())
		}
		s.before(now, r.PerSecond()*r.Errors, func(at time.Time) {
			f := s.mishap()
			s.logAt(at, s.chance.newTrace(), levelError, f.code, f.message)
		})
		s.before(now, r.PerSecond()/thinned, func(at time.Time) {
			s.logAt(at, s.chance.newTrace(), levelInfo, "", fmt.Sprintf("%s %s answered in %dms", r.Method, path, typical+s.chance.uint64()%4))
		})
	}
}

// before calls do at random instants before now, so many times a second.
func (s *service) before(now time.Time, perSecond float64, do func(time.Time)) {
	for at := now.Add(-logged); ; {
		at = at.Add(time.Duration(s.chance.exp() / perSecond * float64(time.Second)))
		if !at.Before(now) {
			return
		}
		do(at)
	}
}

// pause is the time that a request spends in what the shop has no room for:
// caches, disks, other companies.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
