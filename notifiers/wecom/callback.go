package wecom

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Desk does what a member asks.
type Desk interface {
	// Acknowledge notes that actor looks after the incident.
	Acknowledge(ctx context.Context, incident int64, actor string) error
	// Escalate goes on to the incident's next step now.
	Escalate(ctx context.Context, incident int64, actor string) error
	// Resolve ends the incident.
	Resolve(ctx context.Context, incident int64, actor string) error
}

// People knows who a member is.
type People interface {
	// Person returns whose contact an address of a channel is, as the actor of
	// what that person does; ok is false when it is nobody's.
	Person(channel, address string) (name string, ok bool)
}

// stale is how old, or how far ahead of our clock, a callback may be.
const stale = 10 * time.Minute

// callback answers the provider.
type callback struct {
	*Notifier
	desk   Desk
	people People // may be nil
}

// Handler returns what answers the provider's callbacks: a GET verifies that
// the address is ours, a POST says what a member did. It answers at once, and
// what is asked is done beside that; Close waits for it. Without a callback in
// the configuration every request is answered with 404. people may be nil.
func (n *Notifier) Handler(desk Desk, people People) http.Handler {
	if n.cipher == nil {
		return http.NotFoundHandler()
	}
	return &callback{Notifier: n, desk: desk, people: people}
}

// ServeHTTP checks the signature before anything is decrypted, and decrypts
// before anything is parsed. The provider repeats what is not answered with
// 200 within five seconds, up to three times.
func (c *callback) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	encrypted, ok := "", false
	switch r.Method {
	case http.MethodGet:
		encrypted = r.URL.Query().Get("echostr")
		ok = encryptedText.MatchString(encrypted)
	case http.MethodPost:
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallback))
		if err != nil {
			http.Error(w, "the request is too large, or not whole", http.StatusRequestEntityTooLarge)
			return
		}
		encrypted, ok = encryptedIn(body)
	default:
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "only GET and POST", http.StatusMethodNotAllowed)
		return
	}
	if !ok {
		http.Error(w, "not a callback of WeCom", http.StatusBadRequest)
		return
	}
	content, status := c.verified(r, encrypted)
	if status == http.StatusOK {
		status = c.answer(w, r, content)
	}
	if status != http.StatusOK {
		http.Error(w, http.StatusText(status), status)
	}
}

// verified returns what is in a message that the provider signed, and the HTTP
// status that it deserves.
func (c *callback) verified(r *http.Request, encrypted string) ([]byte, int) {
	q := r.URL.Query()
	timestamp := q.Get("timestamp")
	if !c.cipher.signed(q.Get("msg_signature"), timestamp, q.Get("nonce"), encrypted) {
		c.refuse(r.Context(), errors.New("the signature is wrong: compare callback.token with the console"))
		return nil, http.StatusUnauthorized
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if age := c.config.Now().Sub(time.Unix(seconds, 0)); err != nil || age.Abs() > stale {
		c.refuse(r.Context(), errors.New("the timestamp is not of the last minutes: compare this machine's clock"))
		return nil, http.StatusUnauthorized
	}
	content, err := c.cipher.open(encrypted)
	if err != nil {
		c.refuse(r.Context(), err)
		return nil, http.StatusBadRequest
	}
	return content, http.StatusOK
}

// refuse logs why a callback is not taken, once a minute: anybody can send
// one.
func (c *callback) refuse(ctx context.Context, why error) {
	if c.seen.warn(c.config.Now()) {
		c.config.Logger.WarnContext(ctx, "callback refused", "channel", c.config.Name, "error", why)
	}
}

// answer writes the answer to a verified message and starts what it asks for.
// What is not answered with 200 it leaves to the caller to say.
func (c *callback) answer(w http.ResponseWriter, r *http.Request, content []byte) (status int) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = w.Write(content)
		return http.StatusOK
	}
	e, err := readEvent(content)
	if err != nil {
		c.refuse(r.Context(), err)
		return http.StatusBadRequest
	}
	if e.Agent != "" && e.Agent != strconv.Itoa(c.config.AgentID) || !c.seen.first(e.identity(), c.config.Now()) {
		w.WriteHeader(http.StatusOK)
		return http.StatusOK
	}
	if !c.work.start(alert.WithVia(r.Context(), "chat"), func(ctx context.Context) { c.act(ctx, e) }) {
		c.seen.forget(e.identity()) // the provider repeats it
		return http.StatusServiceUnavailable
	}
	w.WriteHeader(http.StatusOK)
	return http.StatusOK
}
