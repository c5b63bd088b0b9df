package web

import (
	"fmt"
	"net/http"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// healthy answers as long as the process does.
func (h *Handler) healthy(w http.ResponseWriter, _ *http.Request) error {
	writeText(w, http.StatusOK, "Midwatch is healthy.")
	return nil
}

// ready answers 200 when alerts and queries are served, else 503.
func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) error {
	if !h.Ready() {
		return problem{status: http.StatusServiceUnavailable, kind: wire.Unavailable, text: "Midwatch is not ready."}
	}
	writeText(w, http.StatusOK, "Midwatch is ready.")
	return nil
}

// reload reads the configuration again. What is wrong in it is said to who
// asked, for they have a token.
func (h *Handler) reload(w http.ResponseWriter, r *http.Request) error {
	actor, err := h.tokens.Load().actor(bearer(r), "")
	if err != nil {
		return err
	}
	if h.Reload == nil {
		return notFound("reloading is not served")
	}
	if err := h.Reload(alert.WithActor(alert.WithVia(r.Context(), "api"), actor)); err != nil {
		return misconfigured(fmt.Errorf("reload asked by %s: %w", actor, err))
	}
	h.logger.InfoContext(r.Context(), "configuration reloaded", "actor", actor)
	writeText(w, http.StatusOK, "Midwatch has reloaded its configuration.")
	return nil
}
