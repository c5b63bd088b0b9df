package slack

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"github.com/slack-go/slack"
	"github.com/slack-go/slack/socketmode"

	"github.com/midwatch-slo/midwatch/notifiers/provider"
)

// Bounds of Socket Mode.
const (
	maxEnvelope = 1 << 20          // bytes
	silence     = 30 * time.Second // without a ping a connection is dead
	again       = 5 * time.Second  // between connections
	refusedFor  = 5 * time.Minute  // before a token that was refused is tried again
	longest     = 30 * time.Second // that slack-go may pause for before we begin anew
	stopTime    = 10 * time.Second // for what is under way when Run ends
)

// Run keeps a connection of Socket Mode, where an app token is configured, and
// does what comes over it. It returns when ctx ends, and what people have
// asked for is done, over HTTP too, for ten seconds at most. people may be nil.
func (n *Notifier) Run(ctx context.Context, desk Desk, people People) {
	f := front{desk, people}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		n.requests.wait(ending)
	}()
	if n.config.AppToken.Empty() {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		pause := n.connect(ctx, f)
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

// connect holds one connection after another until one cannot be had, and
// returns how long to wait before the next try.
func (n *Notifier) connect(ctx context.Context, f front) time.Duration {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	client := n.socket()
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	for {
		select {
		case event := <-client.Events:
			if failed, ok := event.Data.(*slack.ConnectionErrorEvent); ok && failed.Backoff > longest {
				cancel() // slack-go would wait for up to five minutes
			}
			n.event(ctx, client, f, event)
		case err := <-ended:
			return n.pause(ctx, err)
		}
	}
}

// pause tells how long to wait after a connection ended.
func (n *Notifier) pause(ctx context.Context, err error) time.Duration {
	if errors.Is(err, context.Canceled) {
		return again
	}
	n.config.Logger.ErrorContext(ctx, "socket mode refused", "channel", n.config.Name, "error", classify(err), "again_in", refusedFor)
	return refusedFor
}

// socket returns slack-go's client of Socket Mode, which reconnects by itself.
func (n *Notifier) socket() *socketmode.Client {
	dialer := &websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: 10 * time.Second, WriteBufferSize: 32 << 10,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12},
	}
	return socketmode.New(n.api.client, socketmode.OptionDialer(dialer), socketmode.OptionReadLimit(maxEnvelope),
		socketmode.OptionPingInterval(silence), socketmode.OptionLog(quiet{}))
}

// quiet keeps slack-go from writing to standard error.
type quiet struct{}

// Output writes nothing.
func (quiet) Output(int, string) error { return nil }

// event handles what comes over a connection, or happens to it.
func (n *Notifier) event(ctx context.Context, client *socketmode.Client, f front, event socketmode.Event) {
	var (
		q   request
		err error
	)
	switch event.Type {
	case socketmode.EventTypeConnected:
		n.config.Logger.InfoContext(ctx, "socket mode connected", "channel", n.config.Name)
		return
	case socketmode.EventTypeConnectionError:
		if failed, ok := event.Data.(*slack.ConnectionErrorEvent); ok {
			n.config.Logger.WarnContext(ctx, "socket mode not connected", "channel", n.config.Name, "attempt", failed.Attempt, "error", provider.Unnamed(failed.ErrorObj))
		}
		return
	case socketmode.EventTypeInteractive:
		q, err = parseInteraction(event.Request.Payload)
	case socketmode.EventTypeSlashCommand:
		var s slash
		if err = json.Unmarshal(event.Request.Payload, &s); err == nil {
			q, err = s.request()
		}
	default:
		if event.Request == nil || event.Request.EnvelopeID == "" {
			return
		}
	}
	if err != nil {
		n.config.Logger.WarnContext(ctx, "request refused", "channel", n.config.Name, "error", err)
	}
	go n.acknowledge(ctx, client, f, q, event.Request.EnvelopeID)
}

// acknowledge does what an envelope asks, and says so. One that is not
// acknowledged Slack sends again.
func (n *Notifier) acknowledge(ctx context.Context, client *socketmode.Client, f front, q request, envelope string) {
	said, err := n.serve(ctx, f, q)
	if err != nil {
		n.config.Logger.WarnContext(ctx, "request refused", "channel", n.config.Name, "error", err)
		return
	}
	var payload any
	if said != nil {
		payload = said
	}
	if err := client.AckCtx(ctx, envelope, payload); err != nil && ctx.Err() == nil {
		n.config.Logger.WarnContext(ctx, "request not acknowledged", "channel", n.config.Name, "error", err)
	}
}
