package shop

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

// poolSize and leakSize leave, in an outage, one connection for all payments.
const (
	poolSize = 10
	leakSize = 9
)

// payment is payment-service: every request of it needs the database.
type payment struct {
	*service
	pool *Pool

	mu     sync.Mutex
	outage Outage
}

// Outage is what has come of the leak in payment-service's pool.
type Outage struct {
	Pool         PoolState `json:"pool"`
	BrokenAt     time.Time `json:"broken_at,omitzero"`     // when connections began to leak
	FirstFailure time.Time `json:"first_failure,omitzero"` // when the first payment failed for want of one
	Failures     int       `json:"failures"`               // payments that failed so
	HealedAt     time.Time `json:"healed_at,omitzero"`
}

func newPayment(c traffic.Cluster, logs *shipper) (*payment, error) {
	p := &payment{
		service: newService(traffic.PaymentService, c, logs),
		pool:    NewPool("HikariPool-1", poolSize, traffic.PoolTimeout),
	}
	err := errors.Join(
		p.handle(http.MethodGet, traffic.PathPayment, p.query),
		p.handle(http.MethodPost, traffic.PathPay, p.query),
	)
	p.mux.HandleFunc("GET /admin/pool", p.report)
	p.mux.HandleFunc("POST /admin/pool/leak", p.leak)
	p.mux.HandleFunc("POST /admin/pool/heal", p.heal)
	return p, err
}

// query asks the database: one connection, for the time of a transaction.
func (p *payment) query(ctx context.Context, _ trace, _ *http.Request) error {
	err := p.pool.Acquire(ctx)
	if errors.Is(err, ErrPoolTimeout) {
		p.failed()
		return &failure{
			status: http.StatusServiceUnavailable, code: "DB_POOL_TIMEOUT",
			message: "TimeoutException: " + err.Error(),
		}
	}
	if err != nil {
		return err
	}
	defer p.pool.Release()
	return pause(ctx, traffic.Query)
}

func (p *payment) failed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.outage.FirstFailure.IsZero() {
		p.outage.FirstFailure = time.Now()
	}
	p.outage.Failures++
}

func (p *payment) report(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	o := p.outage
	p.mu.Unlock()
	o.Pool = p.pool.State()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(o) // the caller may have left
}

// leak begins an outage. One that is on goes on.
func (p *payment) leak(w http.ResponseWriter, r *http.Request) {
	if p.begin(time.Now()) {
		if err := p.pool.Leak(r.Context(), leakSize); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	p.report(w, r)
}

func (p *payment) begin(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.outage.BrokenAt.IsZero() && p.outage.HealedAt.IsZero() {
		return false
	}
	p.outage = Outage{BrokenAt: now}
	return true
}

func (p *payment) heal(w http.ResponseWriter, r *http.Request) {
	p.pool.Heal()
	p.mu.Lock()
	if p.outage.HealedAt.IsZero() {
		p.outage.HealedAt = time.Now()
	}
	p.mu.Unlock()
	p.report(w, r)
}
