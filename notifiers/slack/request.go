package slack

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// maxAge is how old a request may be, or how far ahead its clock.
const maxAge = 5 * time.Minute

// fresh tells whether a request was signed a short while ago.
func fresh(h http.Header, now time.Time) error {
	seconds, err := strconv.ParseInt(h.Get("X-Slack-Request-Timestamp"), 10, 64)
	if err != nil {
		return errors.New("no timestamp")
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > maxAge {
		return errors.New("too old")
	}
	return nil
}

// signed tells whether a request is Slack's: version v0 of its signatures, the
// HMAC-SHA256 of "v0:", the timestamp, ":" and the body.
func signed(h http.Header, body []byte, key secret.Secret) error {
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	fmt.Fprintf(mac, "v0:%s:", h.Get("X-Slack-Request-Timestamp"))
	mac.Write(body)
	want := "v0=" + hex.EncodeToString(mac.Sum(nil))
	if !hmac.Equal([]byte(want), []byte(h.Get("X-Slack-Signature"))) {
		return errors.New("wrong signature")
	}
	return nil
}

// request is what somebody did in Slack.
type request struct {
	key     string // the same when Slack sends it again
	by      person
	acts    []act
	command *command // nil for a button
	respond string   // URL that takes answers for half an hour
}

// command is a line that somebody typed after /midwatch.
type command struct{ text string }

// interaction is what is read of a payload of block_actions.
type interaction struct {
	Type string `json:"type"`
	User struct {
		ID       string `json:"id"`
		Username string `json:"username"`
		Name     string `json:"name"`
	} `json:"user"`
	ResponseURL string `json:"response_url"`
	Container   struct {
		MessageTS string `json:"message_ts"`
		ChannelID string `json:"channel_id"`
	} `json:"container"`
	Actions []struct {
		ActionID       string `json:"action_id"`
		ActionTS       string `json:"action_ts"`
		SelectedOption struct {
			Value string `json:"value"`
		} `json:"selected_option"`
	} `json:"actions"`
}

// maxActions is how many controls one interaction may be of; Slack sends one.
const maxActions = 10

// parseInteraction reads a payload. One that is of no button of ours has no
// acts.
func parseInteraction(payload []byte) (request, error) {
	var in interaction
	if !utf8.Valid(payload) {
		return request{}, errors.New("the payload is not UTF-8")
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return request{}, errors.New("the payload is not what Slack would send")
	}
	if in.Type != "block_actions" {
		return request{}, nil
	}
	if !userID.MatchString(in.User.ID) || len(in.Actions) > maxActions {
		return request{}, errors.New("the payload names nobody, or too much")
	}
	r := request{by: person{in.User.ID, in.User.Username}, respond: in.ResponseURL}
	if r.by.name == "" {
		r.by.name = in.User.Name
	}
	for _, a := range in.Actions {
		if asked, ok := parseAct(a.ActionID, a.SelectedOption.Value); ok {
			r.acts = append(r.acts, asked)
			r.key += clean(in.Container.MessageTS+" "+in.User.ID+" "+a.ActionID+" "+a.ActionTS, 200) + "|"
		}
	}
	return r, nil
}

// slash is what is read of a command, as a form or as JSON.
type slash struct {
	Command     string `json:"command"`
	Text        string `json:"text"`
	UserID      string `json:"user_id"`
	UserName    string `json:"user_name"`
	ResponseURL string `json:"response_url"`
	TriggerID   string `json:"trigger_id"`
}

func (s slash) request() (request, error) {
	if !userID.MatchString(s.UserID) || !utf8.ValidString(s.Text) || len(s.Text) > 2000 {
		return request{}, errors.New("the command names nobody, or too much")
	}
	return request{
		key: "command " + clean(s.TriggerID, 200), by: person{s.UserID, s.UserName},
		command: &command{s.Text}, respond: s.ResponseURL,
	}, nil
}

// parseForm reads the body of a request over HTTP.
func parseForm(body []byte) (request, error) {
	form, err := url.ParseQuery(string(body))
	switch {
	case err != nil:
		return request{}, errors.New("the body is no form")
	case form.Has("payload"):
		return parseInteraction([]byte(form.Get("payload")))
	case form.Has("command"):
		return slash{
			Text: form.Get("text"), UserID: form.Get("user_id"), UserName: form.Get("user_name"),
			ResponseURL: form.Get("response_url"), TriggerID: form.Get("trigger_id"),
		}.request()
	}
	return request{}, nil // such as ssl_check
}

// Bounds of what is done for people at once, and remembered of them.
const (
	maxWork     = 16
	maxRequests = 2000
	rememberFor = 15 * time.Minute
	doubleClick = 5 * time.Second
)

// requests keeps which requests were seen, and counts those under way.
type requests struct {
	now   func() time.Time
	slots chan struct{} // holds one for each under way

	mu     sync.Mutex
	seen   map[string]time.Time // until when
	warned time.Time
}

func newRequests(now func() time.Time) *requests {
	return &requests{now: now, slots: make(chan struct{}, maxWork), seen: map[string]time.Time{}}
}

// warn tells whether the last warning of a refused request was long enough
// ago: anybody can send one.
func (r *requests) warn() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	if now.Sub(r.warned) < time.Minute {
		return false
	}
	r.warned = now
	return true
}

// wait waits until nothing is under way, or until ctx ends.
func (r *requests) wait(ctx context.Context) {
	for range maxWork {
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-ctx.Done():
			return
		}
	}
}

// first tells whether a request has not been seen before: neither itself, nor
// the same person's pressing the same button a moment ago.
func (r *requests) first(q request) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	for key, until := range r.seen {
		if !now.Before(until) || len(r.seen) > maxRequests {
			delete(r.seen, key)
		}
	}
	keys := map[string]time.Duration{q.key: rememberFor}
	for _, a := range q.acts {
		keys[click(q.by, a)] = doubleClick
	}
	fresh := true
	for key, length := range keys {
		if _, known := r.seen[key]; known {
			fresh = false
		} else {
			r.seen[key] = now.Add(length)
		}
	}
	return fresh
}

// click names somebody's pressing a button.
func click(by person, a act) string {
	return "click " + by.id + " " + actionID(a.verb, a.incident) + " " + a.length.String()
}

// forget lets somebody press a button again at once.
func (r *requests) forget(by person, a act) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.seen, click(by, a))
}
