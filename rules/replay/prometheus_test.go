package replay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"

	"github.com/midwatch-slo/midwatch/rules/replay"
)

// server answers query_range with the time at each step, or as wrong says.
type server struct {
	mu       sync.Mutex
	requests int
	most     int // steps of one request
	wrong    func(w http.ResponseWriter, request, steps int) bool
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	number := func(name string) float64 {
		f, _ := strconv.ParseFloat(r.FormValue(name), 64)
		return f
	}
	start, step := number("start"), number("step")
	steps := int((number("end")-start)/step) + 1
	s.mu.Lock()
	s.requests++
	n := s.requests
	s.most = max(s.most, steps)
	s.mu.Unlock()
	if s.wrong != nil && s.wrong(w, n, steps) {
		return
	}
	var values [][2]any
	for i := range steps {
		t := start + float64(i)*step
		values = append(values, [2]any{t, fmt.Sprint(t)})
	}
	answer(w, http.StatusOK, map[string]any{"status": "success", "data": map[string]any{
		"resultType": "matrix", "result": []any{map[string]any{"metric": map[string]string{"a": "b"}, "values": values}},
	}})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, code int, kind, message string) bool {
	answer(w, code, map[string]string{"status": "error", "errorType": kind, "error": message})
	return true
}

func asked(t *testing.T, s *server) (promql.Matrix, error) {
	t.Helper()
	h := httptest.NewServer(s)
	t.Cleanup(h.Close)
	p, err := replay.NewPrometheus(replay.PrometheusConfig{URL: h.URL, Backoff: time.Millisecond, Retries: 2})
	if err != nil {
		t.Fatal(err)
	}
	return p.Range(t.Context(), "up", epoch, epoch.Add(30*24*time.Hour), 30*time.Second)
}

// TestPrometheusGivesEveryStepOnce asks servers that behave as badly as real
// ones do: what comes has each of the 86,401 steps once, in order.
func TestPrometheusGivesEveryStepOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong    func(w http.ResponseWriter, request, steps int) bool
		requests int
		most     int
	}{
		"well": {requests: 8, most: 11_000},
		"fails now and then": {requests: 11, most: 11_000, wrong: func(w http.ResponseWriter, request, _ int) bool {
			switch request {
			case 2:
				http.Error(w, "bad gateway", http.StatusBadGateway)
				return true
			case 5:
				panic(http.ErrAbortHandler) // the connection breaks
			case 8:
				http.Error(w, "too many requests", http.StatusTooManyRequests)
				return true
			}
			return false
		}},
		"too many samples": {requests: 8 + 2*8, most: 11_000, wrong: func(w http.ResponseWriter, _, steps int) bool {
			return steps > 6000 && refuse(w, http.StatusUnprocessableEntity, "execution", "query processing would load too many samples into memory in query execution")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{wrong: c.wrong}
			m, err := asked(t, s)
			if err != nil {
				t.Fatal(err)
			}
			if len(m) != 1 || m[0].Metric.Get("a") != "b" || len(m[0].Floats) != 86_401 {
				t.Fatalf("%d series, %d points", len(m), len(m[0].Floats))
			}
			for i, p := range m[0].Floats {
				if want := epoch.Add(time.Duration(i) * 30 * time.Second).UnixMilli(); p.T != want || p.F != float64(want)/1000 {
					t.Fatalf("step %d is %v", i, p)
				}
			}
			if s.requests != c.requests || s.most > c.most {
				t.Errorf("%d requests of at most %d steps, want %d of %d", s.requests, s.most, c.requests, c.most)
			}
		})
	}
}

// What does not pass is not tried again, and what the expression is to blame
// for is told apart.
func TestPrometheusGivesUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wrong      func(w http.ResponseWriter, request, steps int) bool
		requests   int
		message    string
		evaluation bool
	}{
		"not allowed": {requests: 1, message: "client error: 401", wrong: func(w http.ResponseWriter, _, _ int) bool {
			http.Error(w, "no", http.StatusUnauthorized)
			return true
		}},
		"always fails": {requests: 3, message: "server error: 500", wrong: func(w http.ResponseWriter, _, _ int) bool {
			http.Error(w, "no", http.StatusInternalServerError)
			return true
		}},
		"many to many": {requests: 1, message: "many-to-many", evaluation: true, wrong: func(w http.ResponseWriter, _, _ int) bool {
			return refuse(w, http.StatusUnprocessableEntity, "execution", "found duplicate series: many-to-many matching not allowed")
		}},
		"no JSON": {requests: 1, message: "bad_response", wrong: func(w http.ResponseWriter, _, _ int) bool {
			_, _ = w.Write([]byte(`<html>`))
			return true
		}},
		"JSON of something else": {requests: 1, message: "asked for up", wrong: func(w http.ResponseWriter, _, _ int) bool {
			_, _ = w.Write([]byte(`{"status":"success","data":[]}`))
			return true
		}},
		"a series that is null": {requests: 1, message: "a series of it is none", wrong: func(w http.ResponseWriter, _, _ int) bool {
			_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"matrix","result":[null]}}`))
			return true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &server{wrong: c.wrong}
			_, err := asked(t, s)
			if err == nil || !strings.Contains(err.Error(), c.message) || s.requests != c.requests {
				t.Errorf("after %d requests: %v", s.requests, err)
			}
			if _, ok := errors.AsType[*replay.EvaluationError](err); ok != c.evaluation {
				t.Errorf("the expression's: %v, want %v: %v", ok, c.evaluation, err)
			}
		})
	}
}

// A server that accepts questions and answers none is given up after two: not
// after halves of halves, each retried.
func TestPrometheusThatHangs(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		_ = r.ParseForm() // the end of the connection is seen once the body is read
		<-r.Context().Done()
	}))
	t.Cleanup(h.Close)
	p, err := replay.NewPrometheus(replay.PrometheusConfig{URL: h.URL, Deadline: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Range(t.Context(), "up", epoch, epoch.Add(30*24*time.Hour), 30*time.Second)
	if err == nil || !strings.Contains(err.Error(), "does not answer within 50ms") || requests.Load() != 2 {
		t.Errorf("after %d requests: %v", requests.Load(), err)
	}
}
