package client_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/client"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Every request as it arrives.
func TestRequests(t *testing.T) {
	var got string
	url := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = fmt.Sprintf("%s %s %s", r.Method, r.URL.RequestURI(), body)
		if r.Header.Get(wire.ViaHeader) != "cli" || (r.Header.Get("Authorization") == "") != (r.Method == http.MethodGet) {
			t.Errorf("%s has the header %v", got, r.Header)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":null}`)
	}))
	c := newClient(t, url, token)
	ctx, at := t.Context(), time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	ms, err := silence.ParseMatchers([]string{`a="b"`})
	if err != nil {
		t.Fatal(err)
	}
	for want, ask := range map[string]func(c *client.Client) error{
		`POST /api/v1/incidents/7/escalate {}`:                             func(c *client.Client) error { _, err := c.Escalate(ctx, 7, ""); return err },
		`POST /api/v1/incidents/7/snooze {"until":"2026-11-21T03:00:00Z"}`: func(c *client.Client) error { _, err := c.Snooze(ctx, 7, at, ""); return err },
		`POST /api/v1/incidents/7/reassign {"by":"wei","users":["lin"]}`:   func(c *client.Client) error { _, err := c.Reassign(ctx, 7, []string{"lin"}, "wei"); return err },
		`POST /api/v1/incidents/7/responders {"users":["lin"]}`:            func(c *client.Client) error { _, err := c.AddResponders(ctx, 7, []string{"lin"}, ""); return err },
		`POST /api/v1/incidents/7/note {"text":"n"}`:                       func(c *client.Client) error { _, err := c.Note(ctx, 7, "n", ""); return err },
		`POST /api/v1/incidents/7/merge {"into":8}`:                        func(c *client.Client) error { _, err := c.Merge(ctx, 7, 8, ""); return err },
		`GET /api/v1/silences `:                                            func(c *client.Client) error { _, err := c.Silences(ctx); return err },
		`GET /api/v1/silences/a%2Fb `:                                      func(c *client.Client) error { _, err := c.Silence(ctx, "a/b"); return err },
		`DELETE /api/v1/silences/a `:                                       func(c *client.Client) error { return c.ExpireSilence(ctx, "a") },
		`POST /api/v1/silences {"matchers":["a=\"b\""],"ends_at":"2026-11-21T03:00:00Z"}`: func(c *client.Client) error {
			_, err := c.SaveSilence(ctx, silence.Silence{Matchers: ms, EndsAt: at})
			return err
		},
		`GET /api/v1/oncall?from=2026-11-21T03%3A00%3A00Z&to=2026-11-21T04%3A00%3A00Z `: func(c *client.Client) error { _, err := c.Rotas(ctx, at, at.Add(time.Hour)); return err },
		`GET /api/v1/overrides `:      func(c *client.Client) error { _, err := c.Overrides(ctx); return err },
		`DELETE /api/v1/overrides/3 `: func(c *client.Client) error { return c.EndOverride(ctx, 3) },
		`POST /api/v1/overrides {"schedule":"s","user":"u","from":"2026-11-21T03:00:00Z","until":"2026-11-21T03:00:00Z"}`: func(c *client.Client) error {
			_, err := c.AddOverride(ctx, wire.Override{Schedule: "s", User: "u", From: at, Until: at})
			return err
		},
		`GET /api/v1/audit?before=9&limit=10 `: func(c *client.Client) error { _, err := c.Audit(ctx, 9, 10); return err },
		`GET /api/v1/drills `:                  func(c *client.Client) error { _, err := c.Drills(ctx); return err },
		`POST /api/v1/drills {"user":"lin","level":"P1"}`: func(c *client.Client) error {
			_, err := c.StartDrill(ctx, wire.DrillRequest{User: "lin", Level: "P1"})
			return err
		},
		`GET /api/v1/delivery `:   func(c *client.Client) error { _, err := c.Delivery(ctx); return err },
		`GET /api/v1/deadpages `:  func(c *client.Client) error { _, err := c.DeadPages(ctx); return err },
		`GET /api/v1/heartbeats `: func(c *client.Client) error { _, err := c.Heartbeats(ctx); return err },
	} {
		if err := ask(c); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got != want {
			t.Errorf("asked %s\n want %s", got, want)
		}
	}
}
