package web

import (
	"context"
	"fmt"
	"net/http"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// QueryTokenConfig is one token of those who may query, as it is configured.
type QueryTokenConfig struct {
	Name      string        `yaml:"name"`
	Token     secret.Secret `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
	Matchers  []string      `yaml:"matchers"` // of all that it sees, such as namespace="shop"; nil: it sees everything
}

// Bind makes of matchers a function that binds requests to what they match.
// An error names a text that is none.
type Bind func(matchers []string) (func(context.Context) context.Context, error)

// Querying tells who may query, and what they see.
type Querying struct {
	tokens *Tokens
	bound  map[string]func(context.Context) context.Context // by sum of the token; none: everything is seen
}

// NewQuerying reads the configured tokens: without one everybody may query
// everything. Errors are as those of NewTokens, and name matchers that are
// none. A list of matchers that is there and empty is an error.
func NewQuerying(configs []QueryTokenConfig, bind Bind) (*Querying, error) {
	plain := make([]TokenConfig, 0, len(configs))
	for _, c := range configs {
		plain = append(plain, TokenConfig{Name: c.Name, Token: c.Token, TokenFile: c.TokenFile})
	}
	tokens, err := newTokens("query_tokens", plain)
	if err != nil {
		return nil, err
	}
	q := &Querying{tokens: tokens, bound: map[string]func(context.Context) context.Context{}}
	for i, c := range configs {
		if c.Matchers == nil {
			continue
		}
		field := fmt.Sprintf("query_tokens.%d.matchers", i)
		if len(c.Matchers) == 0 {
			return nil, fmt.Errorf("%s is empty: give some, or leave it out and the token sees everything", field)
		}
		to, err := bind(c.Matchers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", field, err)
		}
		q.bound[string(tokens.known[i].sum[:])] = to
	}
	return q, nil
}

// admit returns the context of a request bound to what it may see. Who may act
// may also query everything.
func (q *Querying) admit(r *http.Request, acting *Tokens) (context.Context, error) {
	if r.URL.Query().Has("token") {
		return nil, errTokenInURL
	}
	if len(q.tokens.known) == 0 {
		return r.Context(), nil
	}
	value := credential(r)
	if t, ok := q.tokens.find(value); ok {
		if bind := q.bound[string(t.sum[:])]; bind != nil {
			return bind(r.Context()), nil
		}
		return r.Context(), nil
	}
	if _, ok := acting.find(value); ok {
		return r.Context(), nil
	}
	if value == "" {
		return nil, problem{status: http.StatusUnauthorized, kind: wire.Unauthorized, text: "querying needs a token (Authorization: Bearer …)"}
	}
	return nil, errTokenUnknown
}

// query passes what is not Midwatch's own to whoever answers as Prometheus.
func (h *Handler) query(w http.ResponseWriter, r *http.Request) error {
	if h.Query == nil || ours(r.URL.Path) {
		return notFound("nothing is served at %s", r.URL.Path)
	}
	ctx, err := h.querying.Load().admit(r, h.tokens.Load())
	if err != nil {
		return err
	}
	h.Query.ServeHTTP(w, r.WithContext(ctx))
	return nil
}
