package notifiers

import (
	"context"
	"errors"
	"slices"
	"testing"

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
