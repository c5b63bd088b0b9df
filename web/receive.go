package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/ingest"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// IngestTokenConfig is one token of those who may send alerts, as it is
// configured.
type IngestTokenConfig struct {
	Name      string        `yaml:"name"`
	Token     secret.Secret `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
	Cluster   string        `yaml:"cluster"` // of its alerts that name none; "" leaves them as they are
}

// Ingest tells who may send alerts.
type Ingest struct {
	tokens *Tokens
	sentry secret.Secret
}

// NewIngest reads the configured tokens: without one everybody may send
// alerts. Where Sentry's secret is given, what Sentry sends must be signed
// with it, and needs no token. Errors are as those of NewTokens.
func NewIngest(configs []IngestTokenConfig, sentry secret.Secret) (*Ingest, error) {
	plain := make([]TokenConfig, 0, len(configs))
	for _, c := range configs {
		plain = append(plain, TokenConfig{Name: c.Name, Token: c.Token, TokenFile: c.TokenFile})
	}
	tokens, err := newTokens("ingest_tokens", plain)
	if err != nil {
		return nil, err
	}
	for i, c := range configs {
		tokens.known[i].cluster = c.Cluster
	}
	return &Ingest{tokens: tokens, sentry: sentry}, nil
}

// admit tells whether a request may send alerts, and from which cluster they
// come if its token says so. Who may act may also send alerts.
func (in *Ingest) admit(r *http.Request, acting *Tokens) (cluster string, err error) {
	if r.URL.Query().Has("token") {
		return "", errTokenInURL
	}
	if len(in.tokens.known) == 0 {
		return "", nil
	}
	value := credential(r)
	if t, ok := in.tokens.find(value); ok {
		return t.cluster, nil
	}
	if _, ok := acting.find(value); ok {
		return "", nil
	}
	if value == "" {
		return "", problem{status: http.StatusUnauthorized, kind: wire.Unauthorized, text: "sending alerts needs a token (Authorization: Bearer …)"}
	}
	return "", errTokenUnknown
}

// receive takes alerts in as Alertmanager does. It answers 200 only after
// they are kept; the valid ones are, also when others are not.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) error {
	cluster, err := h.ingest.Load().admit(r, h.tokens.Load())
	if err != nil {
		return err
	}
	body, err := jsonBody(r)
	if err != nil {
		return err
	}
	alerts, err := alert.Parse(body, h.Now())
	var invalid alert.InvalidError
	if err != nil && !errors.As(err, &invalid) {
		return unreadable(err)
	}
	if err := h.keep(r.Context(), alerts, cluster); err != nil {
		return err
	}
	if invalid != nil {
		return badData("%v", invalid)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// keep hands alerts on, with the cluster that they come from where they name
// none.
func (h *Handler) keep(ctx context.Context, alerts []alert.Alert, cluster string) error {
	if len(alerts) == 0 {
		return nil
	}
	if cluster != "" {
		for i, a := range alerts {
			if _, named := a.Labels[alert.LabelCluster]; !named {
				alerts[i].Labels[alert.LabelCluster] = model.LabelValue(cluster)
			}
		}
	}
	if err := h.Receiver.Receive(ctx, alerts); err != nil {
		id := h.logged(ctx, "keep alerts", err)
		return problem{status: http.StatusServiceUnavailable, kind: wire.Unavailable, text: "the alerts are not kept, send them again; the log has the cause under id " + id}
	}
	return nil
}

// hookReader reads the body of a webhook.
type hookReader func(body io.Reader, now time.Time) (ingest.Result, error)

// hook takes alerts in from a webhook of another system.
func (h *Handler) hook(read hookReader) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		cluster, err := h.ingest.Load().admit(r, h.tokens.Load())
		if err != nil {
			return err
		}
		body, err := jsonBody(r)
		if err != nil {
			return err
		}
		result, err := read(body, h.Now())
		if err != nil {
			return unreadable(err)
		}
		return h.answerHook(w, r, result, cluster)
	}
}

// sentryHook takes alerts in from Sentry, which signs what it sends.
func (h *Handler) sentryHook(w http.ResponseWriter, r *http.Request) error {
	in, cluster := h.ingest.Load(), ""
	if in.sentry.Empty() {
		var err error
		if cluster, err = in.admit(r, h.tokens.Load()); err != nil {
			return err
		}
	}
	plain, err := jsonBody(r)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(plain, ingest.MaxBody+1))
	if err != nil {
		return unreadable(err)
	}
	if !in.sentry.Empty() && !ingest.SentrySigned(body, r.Header.Get(ingest.SentrySignature), in.sentry.Reveal()) {
		return problem{status: http.StatusUnauthorized, kind: wire.Unauthorized, text: "the signature is not that of the configured secret"}
	}
	result, err := ingest.Sentry(r.Header.Get(ingest.SentryResource), body, h.Now())
	if err != nil {
		return unreadable(err)
	}
	return h.answerHook(w, r, result, cluster)
}

func (h *Handler) answerHook(w http.ResponseWriter, r *http.Request, result ingest.Result, cluster string) error {
	if err := h.keep(r.Context(), result.Alerts, cluster); err != nil {
		return err
	}
	if result.Missing > 0 {
		h.logger.WarnContext(r.Context(), "a webhook leaves alerts out", "path", r.URL.Path, "missing", result.Missing)
	}
	if result.Refused != nil {
		return badData("%v", result.Refused)
	}
	return writeData(w, wire.Taken{Alerts: len(result.Alerts), Missing: result.Missing, Ignored: result.Ignored})
}

// unreadable maps an error of a body of which nothing was taken.
func unreadable(err error) error {
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return err
	case errors.Is(err, alert.ErrTooLarge):
		return problem{status: http.StatusRequestEntityTooLarge, kind: wire.BadData, text: err.Error()}
	case errors.Is(err, alert.ErrMalformed):
		return badData("%s", cut(err.Error(), maxReason))
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return badData("the body is no gzip")
	}
	return badData("the body ends before it should")
}

// jsonBody returns the body of a request that says it is JSON, plain or by
// gzip. Whoever reads it must bound what is read. No page of another site can
// make a browser declare JSON without asking first.
func jsonBody(r *http.Request) (io.Reader, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		return nil, problem{status: http.StatusUnsupportedMediaType, kind: wire.BadData, text: "the content type must be application/json"}
	}
	switch encoding := strings.ToLower(r.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return r.Body, nil
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, unreadable(err)
		}
		return z, nil
	default:
		return nil, problem{status: http.StatusUnsupportedMediaType, kind: wire.BadData, text: fmt.Sprintf("bodies in the encoding %.40q are not read, send JSON plain or by gzip", encoding)}
	}
}

// readJSON reads a whole body of JSON within limit bytes.
func readJSON(r *http.Request, limit int64) ([]byte, error) {
	body, err := jsonBody(r)
	if err != nil {
		return nil, err
	}
	b, err := alert.ReadJSON(body, limit, 16)
	if err != nil {
		return nil, unreadable(err)
	}
	return bytes.TrimSpace(b), nil
}
