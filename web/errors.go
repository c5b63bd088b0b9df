package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// maxReason is how long the reason of a refusal may be, in bytes.
const maxReason = 2 << 10

// statusClientGone is what nginx logs for a client that did not wait.
const statusClientGone = 499

// problem is an error as a client may see it.
type problem struct {
	status int
	kind   string // an errorType of package wire
	text   string
	allow  string // methods, for status 405
}

func (p problem) Error() string { return p.text }

var (
	errNoTokens     = problem{status: http.StatusForbidden, kind: wire.Forbidden, text: "acting is off: no token is configured"}
	errTokenMissing = problem{status: http.StatusUnauthorized, kind: wire.Unauthorized, text: "acting needs a token (Authorization: Bearer …)"}
	errTokenUnknown = problem{status: http.StatusUnauthorized, kind: wire.Unauthorized, text: "the token is not one of those configured"}
	errTokenInURL   = badData("a token in a URL ends in logs: send it as Authorization: Bearer …, or as the password of Basic")
)

func badData(format string, args ...any) problem {
	return problem{status: http.StatusBadRequest, kind: wire.BadData, text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) problem {
	return problem{status: http.StatusNotFound, kind: wire.NotFound, text: fmt.Sprintf(format, args...)}
}

func wrongMethod(method string, allowed []string) problem {
	p := problem{status: http.StatusMethodNotAllowed, kind: wire.BadData, allow: strings.Join(allowed, ", ")}
	p.text = fmt.Sprintf("method %q is not served here, only %s", method, p.allow)
	return p
}

// explain turns any error into what its client may see. It is the one place
// that maps errors to HTTP statuses. The text of an error that it does not
// know stays in the log, under an id that the client gets.
func (h *Handler) explain(r *http.Request, err error) problem {
	var (
		p       problem
		large   *http.MaxBytesError
		refused *RefusedError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refused):
		return badData("%s", cut(refused.Reason, maxReason))
	case errors.As(err, &large):
		return problem{status: http.StatusRequestEntityTooLarge, kind: wire.BadData, text: fmt.Sprintf("the body is larger than %d bytes", large.Limit)}
	case errors.Is(err, ErrNotFound):
		return notFound("there is no such thing")
	case errors.Is(err, ErrConflict):
		return problem{status: http.StatusConflict, kind: wire.Conflict, text: "it is no longer in a state for that"}
	case r.Context().Err() != nil && errors.Is(r.Context().Err(), context.Canceled):
		return problem{status: statusClientGone, kind: wire.Canceled, text: "the client did not wait for the answer"}
	case errors.Is(err, context.DeadlineExceeded):
		return problem{status: http.StatusGatewayTimeout, kind: wire.Timeout, text: "no answer in time; try again"}
	}
	return internal(h.logged(r.Context(), "answer", err, slog.String("path", pathOf(r))))
}

func internal(id string) problem {
	return problem{status: http.StatusInternalServerError, kind: wire.Internal, text: "internal error; the log has its cause under id " + id}
}

// misconfigured lets a client see what is wrong in files that people write;
// any other error stays as it is.
func misconfigured(err error) error {
	if problems, ok := diag.Of(err); ok {
		return problem{status: http.StatusUnprocessableEntity, kind: wire.BadData, text: problems.Error()}
	}
	return err
}

// logged logs what went wrong during a step, and returns the id that it is logged under.
func (h *Handler) logged(ctx context.Context, during string, err error, attrs ...slog.Attr) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	id := hex.EncodeToString(b[:])
	attrs = append(attrs, slog.String("during", during), slog.String("id", id), slog.Any("err", err))
	h.logger.LogAttrs(ctx, slog.LevelError, "request failed", attrs...)
	return id
}
