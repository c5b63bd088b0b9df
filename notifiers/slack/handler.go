package slack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/slack-go/slack/slackutilsx"
)

// Bounds of a request and its answer.
const (
	maxRequest = 1 << 20         // bytes
	patience   = 2 * time.Second // Slack waits for three
	workTime   = 30 * time.Second
)

// Handler returns what Slack calls when somebody presses a button or types a
// command: the interactivity and command request URL of the application. It
// reads nothing that is not signed with the signing secret, at most five
// minutes old. What takes longer than two seconds goes on after the answer,
// and Run waits for it. people may be nil.
func (n *Notifier) Handler(desk Desk, people People) http.Handler {
	f := front{desk, people}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, status, err := n.read(w, r)
		if err != nil {
			if n.requests.warn() {
				n.config.Logger.WarnContext(r.Context(), "request refused", "channel", n.config.Name, "status", status, "error", err)
			}
			http.Error(w, http.StatusText(status), status)
			return
		}
		said, err := n.serve(r.Context(), f, q)
		if err != nil {
			http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
			return
		}
		n.answerHTTP(w, said)
	})
}

func (n *Notifier) answerHTTP(w http.ResponseWriter, said map[string]any) {
	if said == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	body, err := json.Marshal(said)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_, _ = w.Write(body) // a client that went away is its own affair
}

// read checks a request before it reads what is in it.
func (n *Notifier) read(w http.ResponseWriter, r *http.Request) (request, int, error) {
	if n.config.SigningSecret.Empty() {
		return request{}, http.StatusNotFound, errors.New("no signing secret is configured")
	}
	if r.Method != http.MethodPost {
		return request{}, http.StatusMethodNotAllowed, errors.New("want POST")
	}
	if err := fresh(r.Header, n.config.Now()); err != nil {
		return request{}, http.StatusUnauthorized, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return request{}, http.StatusRequestEntityTooLarge, fmt.Errorf("read body: %w", err)
	}
	if err := signed(r.Header, body, n.config.SigningSecret); err != nil {
		return request{}, http.StatusUnauthorized, err
	}
	q, err := parseForm(body)
	if err != nil {
		return request{}, http.StatusBadRequest, err
	}
	return q, 0, nil
}

// serve does what a request asks, and returns what to say at once; nil is
// nothing. What it does not finish in time it says later, to who asked. The
// error is that too much is under way.
func (n *Notifier) serve(ctx context.Context, f front, q request) (map[string]any, error) {
	if len(q.acts) == 0 && q.command == nil {
		return nil, nil
	}
	select {
	case n.requests.slots <- struct{}{}:
	default:
		return nil, errors.New("too many requests at once")
	}
	if !n.requests.first(q) {
		<-n.requests.slots
		return nil, nil
	}
	done, late := make(chan string), make(chan struct{})
	go func() {
		defer func() { <-n.requests.slots }()
		n.work(context.WithoutCancel(ctx), f, q, done, late)
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case said := <-done:
		if q.command != nil {
			return ephemeral(said), nil
		}
	case <-timer.C:
		close(late)
	}
	return nil, nil
}

// work does what a request asks. What there is to say goes to done; when that
// is too late, and of a button, which has no answer of its own, to who asked.
func (n *Notifier) work(ctx context.Context, f front, q request, done chan<- string, late <-chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, workTime)
	defer cancel()
	said := n.perform(ctx, f, q)
	select {
	case done <- said:
		if q.command == nil {
			n.tell(ctx, q, said)
		}
	case <-late:
		n.tell(ctx, q, said)
	}
}

// perform does the acts or the command, and returns what to say of it. Of a
// button that did what it says the message itself tells.
func (n *Notifier) perform(ctx context.Context, f front, q request) string {
	if q.command != nil {
		return n.run(ctx, f, *q.command, q.by)
	}
	var failed []string
	for _, a := range q.acts {
		if _, err := n.do(ctx, f, a, q.by); err != nil {
			failed = append(failed, words(err))
			n.requests.forget(q.by, a) // pressed again at once, it is meant
		}
	}
	return strings.Join(failed, "\n")
}

func ephemeral(said string) map[string]any {
	if said == "" {
		return nil
	}
	return map[string]any{"response_type": "ephemeral", "text": slackutilsx.EscapeMessage(said)}
}

// tell says something to who asked, through the URL that came with the
// request. Nothing is sent to hosts that are not Slack's.
func (n *Notifier) tell(ctx context.Context, q request, said string) {
	if said == "" || q.respond == "" {
		return
	}
	if err := n.ours(q.respond); err != nil {
		n.config.Logger.WarnContext(ctx, "answer not sent", "channel", n.config.Name, "error", err)
		return
	}
	if err := n.api.respond(ctx, newDoer(n.config), q.respond, slackutilsx.EscapeMessage(said)); err != nil {
		n.config.Logger.WarnContext(ctx, "answer not sent", "channel", n.config.Name, "error", err)
	}
}

// ours tells whether a URL is Slack's, or of the host that api_url names.
func (n *Notifier) ours(address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return errors.New("the response URL is none")
	}
	own, err := url.Parse(n.config.APIURL)
	if err == nil && u.Host == own.Host && u.Scheme == own.Scheme {
		return nil
	}
	if host := u.Hostname(); u.Scheme == "https" && u.Port() == "" && (strings.HasSuffix(host, ".slack.com") || strings.HasSuffix(host, ".slack-gov.com")) {
		return nil
	}
	return errors.New("the response URL is not Slack's")
}
