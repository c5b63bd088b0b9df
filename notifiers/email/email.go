package email

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"strconv"
	"strings"
	"sync"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/image/font/sfnt"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/page"
)

// Bounds of one notifier.
const (
	maxDialogues = 8   // at the same time
	maxMailboxes = 50  // of one page
	maxError     = 300 // characters of a server's words that an error repeats
)

// Notifier sends pages by mail.
type Notifier struct {
	config  Config
	host    string
	port    int
	from    *mail.Address
	signers []signer
	font    *sfnt.Font
	places  chan struct{} // taken by dialogues
	taken   *taken
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
	n := &Notifier{config: c, host: host, port: port, from: from, places: make(chan struct{}, maxDialogues), taken: newTaken()}
	for i, d := range c.DKIM {
		s, err := d.signer(from.Address)
		if err != nil {
			return nil, fmt.Errorf("email: dkim[%d]: %w", i, err)
		}
		n.signers = append(n.signers, s)
	}
	var err error
	if n.font, err = typeface(); err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	return n, nil
}

// Send hands the page to the server for the mailboxes of p.To.Address: one, or
// several with commas between them. Each is sent a mail of its own, and one
// that the server refuses does not stop the others: the page is sent when
// somebody has it, and is tried again for those alone who may get it later.
// The same page sent again is the same mail: it has the same Message-ID.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	return "", n.send(ctx, p)
}

func (n *Notifier) send(ctx context.Context, p page.Page) error {
	mailboxes := strings.Split(p.To.Address, ",")
	if len(mailboxes) > maxMailboxes {
		return n.permanent(fmt.Errorf("%d mailboxes, %d are allowed", len(mailboxes), maxMailboxes))
	}
	errs := make([]error, len(mailboxes))
	var all sync.WaitGroup
	for i, mailbox := range mailboxes {
		all.Go(func() { errs[i] = n.sendOnce(ctx, p, mailbox, len(mailboxes) > 1) })
	}
	all.Wait()
	return n.together(ctx, errs)
}

// sendOnce leaves out a mailbox that has the page from an earlier try, where
// others have not.
func (n *Notifier) sendOnce(ctx context.Context, p page.Page, mailbox string, several bool) error {
	if !several {
		return n.sendTo(ctx, p, mailbox)
	}
	name := hash(messageID(p), strings.TrimSpace(mailbox))
	if n.taken.has(name) {
		return nil
	}
	err := n.sendTo(ctx, p, mailbox)
	if err == nil {
		n.taken.add(name)
	}
	return err
}

func (n *Notifier) sendTo(ctx context.Context, p page.Page, mailbox string) error {
	to, err := address(mailbox)
	if err != nil {
		return n.permanent(err)
	}
	msg, err := n.compose(p, to.Address)
	if err != nil {
		return n.permanent(fmt.Errorf("compose mail: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	select {
	case n.places <- struct{}{}:
		defer func() { <-n.places }()
	case <-ctx.Done():
		return n.failure(ctx, errors.New("wait for a turn"))
	}
	d := &dialogue{notifier: n, ctx: ctx, ascii: isASCII(n.from.Address + to.Address)}
	defer d.close()
	if err := d.send(msg); err != nil {
		return n.failure(ctx, err)
	}
	return nil
}

// together makes one result of those of all mailboxes.
func (n *Notifier) together(ctx context.Context, errs []error) error {
	var permanent error
	sent := 0
	for _, err := range errs {
		if err == nil {
			sent++
			continue
		}
		if _, again := page.Retry(err); again {
			return err
		}
		permanent = err
	}
	if permanent == nil || sent == 0 {
		return permanent
	}
	n.config.Logger.WarnContext(ctx, "some mailboxes do not take a page that others have", "channel", n.config.Name, "sent", sent, "refused", len(errs)-sent, "err", permanent)
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
