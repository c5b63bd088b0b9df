package email

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// dialogue is one connection to the server, for one mail.
type dialogue struct {
	notifier *Notifier
	ctx      context.Context // of the send that the dialogue is
	ascii    bool            // both addresses are
	conn     net.Conn
	stop     func() bool
}

func (d *dialogue) send(msg *gomail.Msg) error {
	client, err := gomail.NewClient(d.notifier.host, d.options()...)
	if err != nil {
		return err
	}
	smtp, err := client.DialToSMTPClientWithContext(d.ctx)
	if err != nil {
		return fmt.Errorf("greet: %w", err)
	}
	err = client.SendWithSMTPClient(smtp, msg)
	// What the server has taken is sent, however the dialogue ends.
	if err != nil && !msg.IsDelivered() {
		return err
	}
	const farewell = 2 * time.Second
	_ = d.conn.SetDeadline(time.Now().Add(farewell))
	if err := smtp.Quit(); err != nil {
		d.notifier.config.Logger.DebugContext(d.ctx, "mail server said no good-bye", "channel", d.notifier.config.Name)
	}
	return nil
}

// options leave the time limit to the context, which is the earlier.
func (d *dialogue) options() []gomail.Option {
	c := d.notifier.config
	options := []gomail.Option{
		gomail.WithPort(d.notifier.port), gomail.WithTimeout(c.Timeout + time.Minute), gomail.WithTLSConfig(c.TLSConfig),
		gomail.WithTLSPolicy(policy(c.TLS)), gomail.WithDialContextFunc(d.dial), gomail.WithoutNoop(), gomail.WithoutRset(),
	}
	if d.ascii { // else a relay on the way that cannot take UTF-8 would send the mail back
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	if c.Hello != "" {
		options = append(options, gomail.WithHELO(c.Hello))
	}
	if c.Username != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(c.Username), gomail.WithPassword(c.Password.Reveal()))
	}
	return options
}

func policy(name string) gomail.TLSPolicy {
	switch name {
	case None:
		return gomail.NoTLS
	case Opportunistic, Implicit: // of Implicit, dial sees to it
		return gomail.TLSOpportunistic
	}
	return gomail.TLSMandatory
}

// dial connects, and closes the connection when the send's context ends: the
// library looks at it no further than here.
func (d *dialogue) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, d.notifier.config.Smarthost) // the library joins "::1" and a port wrongly
	if err != nil {
		return nil, err
	}
	d.conn = conn
	d.stop = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	if d.notifier.config.TLS != Implicit {
		return conn, nil
	}
	secure := tls.Client(conn, d.notifier.config.TLSConfig)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}

func (d *dialogue) close() {
	if d.conn != nil {
		d.stop()
		_ = d.conn.Close()
	}
}
