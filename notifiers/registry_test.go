package notifiers

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

type recorder struct {
	got []page.Page
	err error
}

func (r *recorder) Send(_ context.Context, p page.Page) (string, error) {
	r.got = append(r.got, p)
	return "", r.err
}

func TestRegistrySendsByChannel(t *testing.T) {
	wecom, email := &recorder{}, &recorder{err: errors.New("broken pipe")}
	r := NewRegistry(map[string]Notifier{"wecom": wecom, "email": email})
	if got := r.Channels(); !slices.Equal(got, []string{"email", "wecom"}) {
		t.Errorf("channels %v", got)
	}
	to := func(channel string) page.Page { return page.Page{Key: channel, To: page.Contact{Channel: channel}} }
	if _, err := r.Send(t.Context(), to("wecom")); err != nil || len(wecom.got) != 1 || len(email.got) != 0 {
		t.Errorf("wecom: %v, %d and %d pages", err, len(wecom.got), len(email.got))
	}
	var se *page.SendError
	if _, err := r.Send(t.Context(), to("email")); !errors.As(err, &se) || !se.Temporary || !errors.Is(err, email.err) {
		t.Errorf("an error of no kind: %v", err)
	}
	if _, err := r.Send(t.Context(), to("pigeon")); !errors.As(err, &se) || se.Temporary || se.Channel != "pigeon" {
		t.Errorf("a channel that there is not: %v", err)
	}
}

type counter int

// Inc counts one.
func (c *counter) Inc() { *c++ }

// TestTemplatesLoseNoPage words two pages by a template that fails with one.
func TestTemplatesLoseNoPage(t *testing.T) {
	file := filepath.Join(t.TempDir(), "own.tmpl")
	if err := os.WriteFile(file, []byte("{{define `page.lead`}}Own {{if eq .Incident.ID 7}}{{index .Links 99}}{{end}}{{.Lead}}{{end}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	templates, err := page.LoadTemplates([]string{file})
	if err != nil {
		t.Fatal(err)
	}
	var (
		log      strings.Builder
		failures counter
		wecom    = &recorder{}
	)
	r := NewRegistry(map[string]Notifier{"wecom": wecom}, WithTemplates(templates, slog.New(slog.NewTextHandler(&log, nil)), &failures))
	for _, id := range []int64{6, 7} {
		p := page.Page{To: page.Contact{Channel: "wecom"}, Incident: alert.Incident{ID: id, Title: "it burns", Level: alert.P2}}
		if _, err := r.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := []string{wecom.got[0].Subject(), wecom.got[1].Subject()}; !slices.Equal(got, []string{"Own P2 it burns", "P2 it burns"}) {
		t.Errorf("sent %q", got)
	}
	if failures != 1 || !strings.Contains(log.String(), "own.tmpl:1:") {
		t.Errorf("%d failures, logged %s", failures, log.String())
	}
}
