package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/web/wire"
)

type seesKey struct{}

// seeing binds a context to the text of its matchers.
func seeing(matchers []string) (func(context.Context) context.Context, error) {
	if matchers[0] == "nonsense" {
		return nil, errors.New("that is none")
	}
	return func(ctx context.Context) context.Context {
		return context.WithValue(ctx, seesKey{}, strings.Join(matchers, " "))
	}, nil
}

// seen names one cluster by what the context sees.
type seen struct{}

func (seen) Clusters(ctx context.Context) []wire.Cluster {
	sees, bound := ctx.Value(seesKey{}).(string)
	if !bound {
		sees = "everything"
	}
	return []wire.Cluster{{Name: sees}}
}

func TestQueryTokens(t *testing.T) {
	configs := []QueryTokenConfig{
		{Name: "shop", Token: secret.New("token-of-shop"), Matchers: []string{`namespace="shop"`, `cluster="a"`}},
		{Name: "all", Token: secret.New("token-of-all")},
	}
	q, err := NewQuerying(configs, seeing)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t, func(c *Config) {
		c.Clusters = seen{}
		c.Query = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sees, bound := r.Context().Value(seesKey{}).(string)
			if !bound {
				sees = "everything"
			}
			_, _ = io.WriteString(w, sees)
		})
	})
	get := func(path, authorization string) (int, string) {
		var header []string
		if authorization != "" {
			header = []string{"Authorization", authorization}
		}
		rec := h.ask(t, http.MethodGet, path, "", header...)
		return rec.Code, strings.ReplaceAll(rec.Body.String(), `\"`, `"`)
	}
	for _, path := range []string{"/api/v1/query?query=up", "/api/v1/targets", "/api/v1/status/tsdb", "/federate", "/api/v1/status/clusters"} {
		h.SetQuerying(&Querying{tokens: &Tokens{}})
		if code, body := get(path, ""); code != http.StatusOK || !strings.Contains(body, "everything") {
			t.Errorf("%s without tokens: got %d %s, want it open", path, code, body)
		}
		h.SetQuerying(q)
		for _, c := range []struct {
			authorization string
			code          int
			body          string
		}{
			{"Bearer token-of-shop", http.StatusOK, `namespace="shop" cluster="a"`},
			{"Basic " + basic("grafana", "token-of-shop"), http.StatusOK, `namespace="shop" cluster="a"`},
			{"Bearer token-of-all", http.StatusOK, "everything"},
			{"Bearer " + sharedToken, http.StatusOK, "everything"},
			{"", http.StatusUnauthorized, "querying needs a token"},
			{"Bearer token-of-nobody", http.StatusUnauthorized, "not one of those configured"},
			{"Bearer ", http.StatusUnauthorized, "querying needs a token"},
		} {
			if code, body := get(path, c.authorization); code != c.code || !strings.Contains(body, c.body) {
				t.Errorf("%s as %q: got %d %s, want %d %s", path, c.authorization, code, body, c.code, c.body)
			}
		}
	}
	if code, _ := get("/api/v1/query?token=token-of-all", ""); code != http.StatusBadRequest {
		t.Errorf("a token in the URL: got %d, want 400", code)
	}
}

func TestQueryTokensAreChecked(t *testing.T) {
	for want, c := range map[string]QueryTokenConfig{
		"query_tokens.0.token: needs 8 bytes or more":                                                {Token: secret.New("short")},
		"query_tokens.0.matchers: that is none":                                                      {Token: secret.New("long enough"), Matchers: []string{"nonsense"}},
		"query_tokens.0.matchers is empty: give some, or leave it out and the token sees everything": {Token: secret.New("long enough"), Matchers: []string{}},
	} {
		if _, err := NewQuerying([]QueryTokenConfig{c}, seeing); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
