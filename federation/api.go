package federation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/httputil"
	v1 "github.com/prometheus/prometheus/web/api/v1"
)

// statusClientGone is what nginx logs, and Prometheus answers, for a client
// that did not wait.
const statusClientGone = 499

// apiError is an error with the kind that Prometheus' API gives it.
type apiError struct {
	status int
	kind   string
	err    error
}

// Error returns the text.
func (e apiError) Error() string { return e.err.Error() }

// Unwrap returns the error without its kind.
func (e apiError) Unwrap() error { return e.err }

func badData(err error) error { return apiError{http.StatusBadRequest, "bad_data", err} }

func invalidParam(err error, name string) error {
	return badData(fmt.Errorf("invalid parameter %q: %w", name, err))
}

// errForbidden is answered where what is asked for cannot be told apart by
// what the request is bound to.
var errForbidden = apiError{http.StatusForbidden, "forbidden", errors.New("this tells of series that the token may not see")}

// kindOf returns the kind and status that Prometheus' API gives an error. What
// it does not know is an internal one, whose text is not shown.
func kindOf(err error) apiError {
	var (
		known    apiError
		timeout  promql.ErrQueryTimeout
		tooMuch  promql.ErrTooManySamples
		tooLarge *http.MaxBytesError
	)
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, ErrUnavailable):
		return apiError{http.StatusServiceUnavailable, "unavailable", err}
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		return apiError{http.StatusServiceUnavailable, "timeout", err}
	case errors.Is(err, context.Canceled):
		return apiError{statusClientGone, "canceled", err}
	case errors.As(err, &tooMuch):
		return apiError{http.StatusUnprocessableEntity, "execution", err}
	case errors.As(err, &tooLarge):
		return apiError{http.StatusRequestEntityTooLarge, "bad_data", err}
	}
	return apiError{http.StatusInternalServerError, "internal", errors.New("internal error")}
}

// endpoint answers a request with data and what there is to say of it.
type endpoint func(r *http.Request) (data any, notes annotations.Annotations, err error)

// serve makes a handler of an endpoint that answers as Prometheus' API does,
// within the time of a query.
func (f *Federation) serve(answer endpoint) http.HandlerFunc {
	return httputil.CompressionHandler{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), f.config.QueryTimeout)
		defer cancel()
		r = r.WithContext(ctx)
		if err := r.ParseForm(); err != nil {
			f.fail(w, badData(fmt.Errorf("error parsing form values: %w", err)))
			return
		}
		data, notes, err := answer(r)
		if err != nil {
			f.fail(w, err)
			return
		}
		f.respond(w, data, notes)
	})}.ServeHTTP
}

func (f *Federation) fail(w http.ResponseWriter, err error) {
	e := kindOf(err)
	if e.status == http.StatusInternalServerError {
		f.config.Logger.Error("request failed", "err", err)
	}
	respondError(w, e.status, e.kind, e.Error())
}

func (f *Federation) respond(w http.ResponseWriter, data any, notes annotations.Annotations) {
	warnings, infos := notes.AsStrings("", maxWarnings, maxWarnings)
	body, err := v1.JSONCodec{}.Encode(&v1.Response{Status: "success", Data: data, Warnings: warnings, Infos: infos})
	if err != nil {
		f.fail(w, fmt.Errorf("write answer: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // the client may be gone
}

// matcherSets reads the parameters match[].
func (f *Federation) matcherSets(r *http.Request) ([][]*labels.Matcher, error) {
	sets, err := f.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		return nil, badData(err)
	}
	for _, ms := range sets {
		if matches(labels.EmptyLabels(), ms) {
			return nil, badData(errors.New("match[] must contain at least one non-empty matcher"))
		}
	}
	return sets, nil
}

// everywhere picks every cluster of which anything may be seen.
func everywhere(ctx context.Context) func(c *cluster) bool {
	return func(c *cluster) bool { return c.visible(ctx) }
}

func respondError(w http.ResponseWriter, status int, typ, message string) {
	body, err := json.Marshal(struct {
		Status    string `json:"status"`
		ErrorType string `json:"errorType"`
		Error     string `json:"error"`
	}{"error", typ, message})
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
