// Package webhook sends pages as HTTP requests in the format of
// Alertmanager's webhooks, version 4, so that whatever takes those takes
// Midwatch's pages too. Requests are signed. It receives nothing.
//
// The format is that of Alertmanager's documentation of webhook_config
// (prometheus.io/docs/alerting/latest/configuration), with one member more,
// "midwatch", which such receivers ignore.
package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/page"
)

// Notifier sends pages to one URL.
type Notifier struct {
	config   Config
	client   *http.Client
	redact   redactor
	progress *progress
}

var (
	_ notifiers.Notifier = (*Notifier)(nil)
	_ notifiers.Editor   = (*Notifier)(nil)
)

// New returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func New(c Config) (*Notifier, error) {
	if err := c.defaults(); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return &Notifier{
		config: c, redact: newRedactor(c), progress: newProgress(),
		client: &http.Client{Transport: provider.Straight(c.Transport)}, // a redirect would take the page and its signature elsewhere
	}, nil
}

// Edits is true: receivers of this format take a group of alerts again when
// it has changed.
func (n *Notifier) Edits() bool { return true }

// Send sends the incident with all its alerts in one call, a bundle in one
// call an incident, in order. A 2xx has taken it. A page that is sent again
// has the same Idempotency-Key.
func (n *Notifier) Send(ctx context.Context, p page.Page) (ref string, err error) {
	if p.Kind == page.Bundle {
		return "", n.bundle(ctx, p)
	}
	return reference(p), n.post(ctx, p)
}

// reference names the incident's group for as long as it lives.
func reference(p page.Page) string {
	if p.Ref != "" {
		return p.Ref
	}
	return "incident/" + strconv.FormatInt(p.Incident.ID, 10)
}

// bundle sends the incidents one by one. What has been answered is not sent
// again when the bundle is; what is refused keeps nothing else back.
func (n *Notifier) bundle(ctx context.Context, p page.Page) error {
	so := n.progress.of(p.Key)
	for ; so.next < len(p.Others); so.next++ {
		err := n.post(ctx, entry(p, p.Others[so.next]))
		if _, again := page.Retry(err); err != nil && again {
			n.progress.set(p.Key, so)
			return err
		}
		if err != nil {
			so.refused = append(so.refused, fmt.Errorf("incident %d: %w", p.Others[so.next].Incident.ID, err))
		}
	}
	n.progress.forget(p.Key)
	if len(so.refused) == 0 {
		return nil
	}
	return &page.SendError{Channel: n.config.Name, Code: code(so.refused[0]), Err: errors.Join(so.refused...)}
}

func code(err error) string {
	if se, ok := errors.AsType[*page.SendError](err); ok {
		return se.Code
	}
	return ""
}

// entry returns the page that an incident of a bundle would have had.
func entry(p page.Page, e page.Entry) page.Page {
	return page.Page{
		Key:  fmt.Sprintf("%s/%d/%s", p.Key, e.Incident.ID, e.Kind),
		Kind: e.Kind, To: p.To, At: p.At,
		Incident: e.Incident, Link: e.Link, Round: e.Incident.Round, Attempt: p.Attempt,
	}
}

// post makes one call, signed at this moment.
func (n *Notifier) post(ctx context.Context, p page.Page) error {
	body, err := encode(n.message(p))
	if err != nil {
		return n.permanent("", fmt.Errorf("encode page: %w", err))
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.Timeout)
	defer cancel()
	req, err := n.request(ctx, p, body)
	if err != nil {
		return n.permanent("", err)
	}
	res, err := n.client.Do(req)
	if err != nil {
		return n.temporary(provider.Unnamed(err))
	}
	defer res.Body.Close()
	return n.verdict(res)
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 4 << 10

// verdict reads how a call went. The status is what counts; the body is read
// so that half an answer is noticed and the connection can be used again.
func (n *Notifier) verdict(res *http.Response) error {
	said, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return n.temporary(fmt.Errorf("read answer: %w", provider.Unnamed(err)))
	}
	if res.StatusCode/100 == 2 {
		return nil
	}
	se := &page.SendError{
		Channel: n.config.Name, Code: strconv.Itoa(res.StatusCode), Temporary: passes(res.StatusCode),
		RetryAfter: provider.RetryAfter(res.Header, n.config.Now()), Err: errors.New(n.redact.words(said)),
	}
	if res.StatusCode/100 == 3 {
		se.Err = errors.New("a redirect, which is not followed: set url to where it leads")
	}
	return se
}

// passes tells whether the same call may be answered otherwise later.
func passes(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

func (n *Notifier) permanent(code string, err error) error {
	return &page.SendError{Channel: n.config.Name, Code: code, Err: n.redact.error(err)}
}

func (n *Notifier) temporary(err error) error {
	return &page.SendError{Channel: n.config.Name, Temporary: true, Err: n.redact.error(err)}
}
