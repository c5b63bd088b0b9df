package web

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// writeData answers with data in the envelope of Prometheus' API.
func writeData(w http.ResponseWriter, data any) error {
	raw, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	return writeJSON(w, http.StatusOK, wire.Envelope{Status: wire.Success, Data: raw})
}

// writeJSON answers with v as it is. An error means that nothing was written.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	write(w, status, "application/json", append(b, '\n'))
	return nil
}

// write answers with a whole body. A client that is gone is nobody's error.
func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// head sets what an error's answer has besides its body.
func (p problem) head(w http.ResponseWriter) {
	if p.allow != "" {
		w.Header().Set("Allow", p.allow)
	}
	if p.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="midwatch"`)
	}
}

// failAPI answers an error as Prometheus' API does.
func (h *Handler) failAPI(w http.ResponseWriter, _ *http.Request, p problem) {
	p.head(w)
	_ = writeJSON(w, p.status, wire.Envelope{Status: wire.Failure, ErrorType: p.kind, Error: p.text}) // strings always encode
}

// failAlerts answers an error as Alertmanager's API does: a JSON string.
func (h *Handler) failAlerts(w http.ResponseWriter, _ *http.Request, p problem) {
	p.head(w)
	_ = writeJSON(w, p.status, p.text) // a string always encodes
}

// failPlain answers an error with a line of text.
func (h *Handler) failPlain(w http.ResponseWriter, _ *http.Request, p problem) {
	p.head(w)
	writeText(w, p.status, p.text)
}

func writeText(w http.ResponseWriter, status int, text string) {
	write(w, status, "text/plain; charset=utf-8", []byte(text+"\n"))
}

// readBody reads a whole body within the route's limit.
func readBody(r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, unreadable(err)
	}
	return b, nil
}
