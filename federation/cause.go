package federation

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/tsdb"
)

// ErrUnavailable is what an answer fails with when data is missing that it
// cannot do without: no queried cluster answered, or one did not and the
// query asked to fail then.
var ErrUnavailable = errors.New("data of clusters is missing")

// errTooMuch says that the clusters sent more for one query than it may hold.
var errTooMuch = errors.New("more data than a query may hold")

// statusError is an answer other than 200.
type statusError int

// Error returns the status as HTTP names it.
func (e statusError) Error() string {
	if text := http.StatusText(int(e)); text != "" {
		return fmt.Sprintf("answered %d %s", int(e), text)
	}
	return fmt.Sprintf("answered %d", int(e))
}

// brokenError is an answer that does not make sense; its text holds nothing
// that the cluster sent.
type brokenError string

// Error says what does not make sense.
func (e brokenError) Error() string { return "broken answer: " + string(e) }

// tokenError is that there is no OAuth2 token to send.
type tokenError struct{ error }

// Unwrap returns why there is none.
func (e tokenError) Unwrap() error { return e.error }

// unavailableError names the clusters whose data is missing.
type unavailableError struct{ message string }

// Error names the clusters, each with its cause.
func (e unavailableError) Error() string { return e.message }

// Is matches ErrUnavailable, and the error by which Prometheus' API says
// "unavailable".
func (unavailableError) Is(target error) bool {
	return target == ErrUnavailable || target == tsdb.ErrNotReady
}

// cause says why a cluster did not answer, for people: short, and without
// URLs, addresses, credentials or bytes that came from outside.
func cause(err error, limit time.Duration) string {
	var (
		status  statusError
		broken  brokenError
		dns     *net.DNSError
		tlsCert *tls.CertificateVerificationError
		several replicaErrors
		token   tokenError
		file    *fs.PathError
		open    openError
		busy    busyError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &open):
		return open.cause
	case errors.As(err, &busy):
		return busy.Error()
	case errors.Is(err, errInexact):
		return errInexact.Error()
	case errors.As(err, &several):
		return several.cause(limit)
	case errors.As(err, &token):
		why := cause(token.error, min(limit, tokenTimeout))
		if why == connectionFailed {
			why = "the token endpoint gives none"
		}
		return "no OAuth2 token: " + why
	case errors.As(err, &file):
		return "a file of its credentials or certificates cannot be read"
	case errors.As(err, &status):
		return status.Error()
	case errors.As(err, &broken):
		return broken.Error()
	case isTimeout(err):
		return fmt.Sprintf("no answer within %s", limit)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns):
		return "host name not found"
	case errors.As(err, &tlsCert):
		return "certificate not trusted"
	case hungUp(err):
		return "connection closed before the end of the answer"
	}
	// What crypto/tls calls it, and what HTTP/2 leaves of that.
	if errors.As(err, &op) && op.Op == "remote error" || strings.Contains(err.Error(), "remote error: tls") {
		return "TLS refused by the server: does it want a certificate?"
	}
	return connectionFailed
}

// connectionFailed is the cause of what has no name.
const connectionFailed = "connection failed"

func isTimeout(err error) bool {
	var ne net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout()
}

// replicaErrors says why none of a cluster's several replicas answered.
type replicaErrors []error

// Error joins the errors of the replicas.
func (e replicaErrors) Error() string { return errors.Join(e...).Error() }

// Unwrap returns the errors of the replicas.
func (e replicaErrors) Unwrap() []error { return e }

func (e replicaErrors) cause(limit time.Duration) string {
	causes := make([]string, len(e))
	for i, err := range e {
		causes[i] = cause(err, limit)
	}
	return ofReplicas(causes)
}

// ofReplicas joins why the replicas of a cluster do not answer.
func ofReplicas(causes []string) string {
	if len(causes) == 1 {
		return causes[0]
	}
	named := make([]string, len(causes))
	for i, c := range causes {
		named[i] = fmt.Sprintf("replica %d: %s", i+1, c)
	}
	return strings.Join(named, ", ")
}

// outcome names the result of a request for metrics.
func outcome(err error) string {
	switch {
	case err == nil:
		return "success"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, new(openError)):
		return "not_asked"
	case isTimeout(err):
		return "timeout"
	case errors.Is(err, errTooMuch):
		return "too_much"
	}
	return "error"
}
