package email

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"time"
	"unicode"

	gomail "github.com/wneessen/go-mail"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/page"
)

// maxError bounds what an error repeats of a server's words, in characters.
const maxError = 300

// The TLS policies.
const (
	Mandatory     = "mandatory"     // STARTTLS, or nothing is sent
	Opportunistic = "opportunistic" // STARTTLS where the server offers it
	Implicit      = "implicit"      // TLS from the first byte, as on port 465
	None          = "none"          // in the clear; no password is sent
)

// Config says which server sends for whom. Password and PasswordFile are
// alternatives.
type Config struct {
	Smarthost    string        `yaml:"smarthost"` // host:port
	From         string        `yaml:"from"`      // an address, with a name before it if wanted
	TLS          string        `yaml:"tls"`       // default mandatory
	Username     string        `yaml:"username"`  // "": no authentication
	Password     secret.Secret `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	Hello        string        `yaml:"hello"`   // what to call ourselves; default the machine's name
	Timeout      time.Duration `yaml:"timeout"` // of one send; default 20s

	Name      string       `yaml:"-"` // of the channel; default email
	Logger    *slog.Logger `yaml:"-"` // default: none
	TLSConfig *tls.Config  `yaml:"-"` // default: the machine's roots, the smarthost's name
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Password files are not read.
func (c Config) Check() error {
	var errs []error
	if host, port, err := net.SplitHostPort(c.Smarthost); err != nil || host == "" || !isPort(port) {
		errs = append(errs, errors.New("smarthost: want host:port, such as smtp.example.com:587"))
	}
	if _, err := address(c.From); err != nil {
		errs = append(errs, errors.New(`from: want an address, such as "Midwatch <midwatch@example.com>"`))
	}
	switch c.TLS {
	case "", Mandatory, Opportunistic, Implicit:
	case None:
		if c.Username != "" {
			errs = append(errs, errors.New("tls: a password is not sent in the clear: want mandatory or implicit"))
		}
	default:
		errs = append(errs, fmt.Errorf("tls: %q is none of mandatory, opportunistic, implicit, none", c.TLS))
	}
	if c.Username != "" && c.Password.Empty() && c.PasswordFile == "" {
		errs = append(errs, errors.New("password: missing: give password or password_file"))
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	return errors.Join(errs...)
}

// address parses one address, with or without a name. It takes only what
// needs no quotes between "<" and ">" of an SMTP command.
func address(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	const most = 254 // bytes: RFC 5321, section 4.5.3.1.3
	if err != nil || len(a.Address) > most || strings.Count(a.Address, "@") != 1 || strings.ContainsFunc(a.Address, unfit) {
		return nil, fmt.Errorf("%q is no address", oneLine(text, maxName))
	}
	return a, nil
}

func unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>"(),:;\[]`, r)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Password, err = secret.Resolve("password", c.Password, c.PasswordFile); err != nil {
		return err
	}
	if c.TLS == "" {
		c.TLS = Mandatory
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	if c.Name == "" {
		c.Name = "email"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.TLSConfig == nil {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return nil
}

// Notifier sends pages by mail.
type Notifier struct {
	config Config
	host   string
	port   int
	from   *mail.Address
}

var _ notifiers.Notifier = (*Notifier)(nil)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	// Check has parsed all of these.
	host, portText, _ := net.SplitHostPort(c.Smarthost)
	port, _ := strconv.Atoi(portText)
	from, _ := address(c.From)
	c.TLSConfig = c.TLSConfig.Clone()
	if c.TLSConfig.ServerName == "" {
		c.TLSConfig.ServerName = host
	}
	return &Notifier{config: c, host: host, port: port, from: from}, nil
}

// Send hands the page to the server for p.To.Address. The same page sent
// again is the same mail: it has the same Message-ID.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	return "", n.send(ctx, p)
}

func (n *Notifier) send(ctx context.Context, p page.Page) error {
	to, err := address(p.To.Address)
	if err != nil {
		return n.permanent(err)
	}
	msg, err := n.compose(p, to.Address)
	if err != nil {
		return n.permanent(fmt.Errorf("compose mail: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	d := &dialogue{notifier: n, ctx: ctx, ascii: isASCII(n.from.Address + to.Address)}
	defer d.close()
	if err := d.send(msg); err != nil {
		return n.failure(ctx, err)
	}
	return nil
}

func (n *Notifier) permanent(err error) error {
	return &page.SendError{Channel: n.config.Name, Err: err}
}

// failure says what an error of the dialogue means: the server's 5xx are
// permanent, everything else may pass (RFC 5321, section 4.2.1). What the
// server replied counts, even if the time was up before it let us go.
func (n *Notifier) failure(ctx context.Context, err error) error {
	se := &page.SendError{Channel: n.config.Name, Temporary: true, Err: errors.New(n.plain(err.Error()))}
	if code := replyCode(err); code != 0 {
		se.Code = "SMTP " + strconv.Itoa(code)
		se.Temporary = code < 500
	} else if cause := ctx.Err(); cause != nil {
		se.Err = fmt.Errorf("%w: %w", se.Err, cause)
	}
	return se
}

// plain returns an error's words on one line and without the password, which
// a server could repeat as it was sent (RFC 4616, RFC 4954).
func (n *Notifier) plain(text string) string {
	c := n.config
	if password := c.Password.Reveal(); password != "" {
		for _, sent := range []string{password, "\x00" + c.Username + "\x00" + password} {
			text = secret.New(base64.StdEncoding.EncodeToString([]byte(sent))).Redact(text)
		}
	}
	return oneLine(c.Password.Redact(text), maxError)
}

// replyCode returns the code of the server's reply that err is of, 0 when the
// server did not reply.
func replyCode(err error) int {
	if se, ok := errors.AsType[*gomail.SendError](err); ok && se.ErrorCode() != 0 {
		return se.ErrorCode()
	}
	if te, ok := errors.AsType[*textproto.Error](err); ok {
		return te.Code
	}
	return 0
}

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
