package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Bounds of what somebody does about an incident.
const (
	maxNote   = 4 << 10 // bytes
	maxUsers  = 20      // at once
	maxSnooze = 30 * 24 * time.Hour
)

// deed is what can be done about an incident, by the last part of its path in
// the API and the name of its button.
type deed struct {
	name string
	do   func(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error)
}

// deeds are all that can be done about incidents.
func (h *Handler) deeds() []deed {
	list := []deed{
		{"ack", func(ctx context.Context, id int64, _ wire.Act, actor string) (alert.Incident, error) {
			return h.Incidents.Acknowledge(ctx, id, actor)
		}},
		{"resolve", func(ctx context.Context, id int64, _ wire.Act, actor string) (alert.Incident, error) {
			return h.Incidents.Resolve(ctx, id, actor)
		}},
	}
	if h.Desk == nil {
		return list
	}
	return append(list,
		deed{"escalate", func(ctx context.Context, id int64, _ wire.Act, actor string) (alert.Incident, error) {
			return h.Desk.Escalate(ctx, id, actor)
		}},
		deed{"snooze", h.snooze},
		deed{"reassign", func(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error) {
			users, err := h.usersOf(a)
			if err != nil {
				return alert.Incident{}, err
			}
			return h.Desk.Reassign(ctx, id, users, actor)
		}},
		deed{"responders", func(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error) {
			users, err := h.usersOf(a)
			if err != nil {
				return alert.Incident{}, err
			}
			return h.Desk.AddResponders(ctx, id, users, actor)
		}},
		deed{"note", func(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error) {
			text, err := noteOf(a.Text)
			if err != nil {
				return alert.Incident{}, err
			}
			return h.Desk.Note(ctx, id, text, actor)
		}},
		deed{"merge", func(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error) {
			if a.Into <= 0 || a.Into == id {
				return alert.Incident{}, badData("name another incident to merge it into")
			}
			inc, err := h.Desk.Merge(ctx, id, a.Into, actor)
			switch {
			case errors.Is(err, ErrNotFound):
				err = notFound("there is no incident %d, or none %d", id, a.Into)
			case errors.Is(err, ErrConflict):
				err = problem{status: http.StatusConflict, kind: wire.Conflict, text: fmt.Sprintf("incident %d or %d is already resolved", id, a.Into)}
			}
			return inc, err
		}},
	)
}

func (h *Handler) snooze(ctx context.Context, id int64, a wire.Act, actor string) (alert.Incident, error) {
	now := h.Now()
	until := a.Until
	if a.For != "" {
		d, err := model.ParseDuration(a.For)
		if err != nil {
			return alert.Incident{}, badData("for must be a length of time such as 30m, not %q", cut(a.For, 40))
		}
		until = now.Add(time.Duration(d))
	}
	if !until.After(now) || until.Sub(now) > maxSnooze {
		return alert.Incident{}, badData("snooze for a while, at most 30 days")
	}
	return h.Desk.Snooze(ctx, id, until.UTC().Truncate(time.Millisecond), actor)
}

// usersOf returns the users that somebody names: at least one, and only such
// as there are.
func (h *Handler) usersOf(a wire.Act) ([]string, error) {
	var users []string
	for _, u := range a.Users {
		if u = strings.TrimSpace(u); u != "" && !slices.Contains(users, u) {
			users = append(users, u)
		}
	}
	if len(users) == 0 || len(users) > maxUsers {
		return nil, badData("name from 1 to %d users", maxUsers)
	}
	if h.Rotas == nil {
		return users, nil
	}
	known := h.Rotas.Users()
	for _, u := range users {
		if !slices.ContainsFunc(known, func(k wire.User) bool { return k.Name == u }) {
			return nil, badData("there is no user %q", cut(u, 60))
		}
	}
	return users, nil
}

// noteOf returns the text of a note: what can be printed, of some length.
func noteOf(text string) (string, error) {
	text = strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n"))
	switch {
	case text == "":
		return "", badData("the note says nothing")
	case len(text) > maxNote:
		return "", badData("the note is longer than %d bytes", maxNote)
	case !utf8.ValidString(text), strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == utf8.RuneError }):
		return "", badData("the note has characters that cannot be printed")
	}
	return text, nil
}

// actAPI answers a request to do something about an incident.
func (h *Handler) actAPI(d deed) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		tokens := h.tokens.Load()
		if _, err := tokens.actor(bearer(r), ""); err != nil { // before anything is read
			return err
		}
		id, err := parseID(r.PathValue("id"))
		if err != nil {
			return err
		}
		body, err := readBody(r)
		if err != nil {
			return err
		}
		a, err := parseAct(body)
		if err != nil {
			return err
		}
		actor, err := tokens.actor(bearer(r), a.By)
		if err != nil {
			return err
		}
		inc, err := d.do(r.Context(), id, a, actor)
		if err != nil {
			return incidentError(id, err)
		}
		return writeData(w, inc)
	}
}

// parseAct reads who acts, and how, from a body that may be empty.
func parseAct(body []byte) (a wire.Act, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return a, nil
	}
	if err := decodeStrict(body, &a); err != nil {
		return wire.Act{}, badData(`the body must be one object like {"by": "name"}, or empty: %s`, cut(err.Error(), 200))
	}
	a.By, err = parseName(a.By)
	return a, err
}

// decodeStrict decodes one JSON value and refuses fields that it does not
// know.
func decodeStrict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something comes after it")
	}
	return nil
}
