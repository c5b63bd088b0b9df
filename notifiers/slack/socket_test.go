package slack

import (
	"context"
	"sync"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/slack"
	"github.com/midwatch-slo/midwatch/page"
)

// connected is a rig whose buttons are answered over Socket Mode.
func connected(t *testing.T, d Desk) rig {
	t.Helper()
	r := newRig(t, func(c *Config, _ *standin.Config) {
		c.SigningSecret, c.AppToken = secret.Secret{}, secret.New(appToken)
	})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx, d, files{}) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		until(t, "no socket", func() bool { return r.provider.Sockets() == 0 })
	})
	until(t, "a socket", func() bool { return r.provider.Sockets() == 1 })
	return r
}

func TestButtonsActOverSocketMode(t *testing.T) {
	d := &desk{}
	r := connected(t, d)
	r.mustSend(t, pageTo(room, page.Opened, "1"))
	for control, option := range map[string]string{"ack:12": "", "link:0": ""} {
		if err := r.provider.Click(t.Context(), liWei, r.last(t), control, option); err != nil {
			t.Fatal(err)
		}
	}
	if got := d.all(); got != "chat: ack 12 by li.wei" {
		t.Errorf("got %q", got)
	}
	if said, err := r.provider.Command(t.Context(), ana, "/midwatch resolve 12"); err != nil || said != "Resolved: incident 12." {
		t.Errorf("told %q, %v", said, err)
	}
}

func TestSocketModeConnectsAnew(t *testing.T) {
	for name, rudely := range map[string]bool{"asked to": false, "cut off": true} {
		t.Run(name, func(t *testing.T) {
			d := &desk{}
			r := connected(t, d)
			r.provider.Fail(standin.Fault{Method: "apps.connections.open", Status: 503})
			r.provider.Disconnect(rudely)
			until(t, "another connection", func() bool {
				return r.provider.Counts()["apps.connections.open"] >= 3 && r.provider.Sockets() == 1
			})
			if said, err := r.provider.Command(t.Context(), liWei, "/midwatch ack 12"); err != nil || said != "Acknowledged: incident 12." {
				t.Errorf("told %q, %v", said, err)
			}
		})
	}
}

func TestARefusedAppTokenEndsWithRun(t *testing.T) {
	r := newRig(t, func(c *Config, _ *standin.Config) { c.AppToken = secret.New("xapp-wrong") })
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx, &desk{}, nil) })
	until(t, "a refusal", func() bool { return r.provider.Counts()["apps.connections.open"] == 1 })
	cancel()
	running.Wait()
}
