package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// Bounds of a span of shifts that is asked for.
const (
	defaultRota = 14 * 24 * time.Hour
	maxRota     = 370 * 24 * time.Hour
	farthest    = 20 * maxRota // from now, either way
)

// listOnCall answers who is on call now and next, or all shifts between from
// and to.
func (h *Handler) listOnCall(w http.ResponseWriter, r *http.Request) error {
	query := r.URL.Query()
	if !query.Has("from") && !query.Has("to") {
		return writeData(w, filled(h.OnCall.Watches(h.Now())))
	}
	if h.Rotas == nil {
		return notFound("shifts are not served")
	}
	from, to, err := h.spanOf(query.Get("from"), query.Get("to"))
	if err != nil {
		return err
	}
	return writeData(w, filled(h.Rotas.Rotas(from, to)))
}

// spanOf reads a span of time: from now on when from is missing, for two
// weeks when to is.
func (h *Handler) spanOf(fromText, toText string) (from, to time.Time, err error) {
	if from, err = instantOf("from", fromText, h.Now()); err != nil {
		return from, to, err
	}
	if to, err = instantOf("to", toText, from.Add(defaultRota)); err != nil {
		return from, to, err
	}
	switch now := h.Now(); {
	case !to.After(from) || to.Sub(from) > maxRota:
		return from, to, badData("to must be after from, by at most %d days", maxRota/(24*time.Hour))
	case now.Sub(from) > farthest || to.Sub(now) > farthest:
		return from, to, badData("from and to must be within 20 years of now")
	}
	return from, to, nil
}

// instantOf reads a time of a query: RFC 3339 or Unix seconds.
func instantOf(name, text string, missing time.Time) (time.Time, error) {
	if text == "" {
		return missing, nil
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 && seconds < 1<<35 {
		return time.Unix(seconds, 0).UTC(), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, badData("%s must be a time such as 2026-11-21T03:00:00Z, not %q", name, cut(text, 40))
	}
	return at.UTC(), nil
}

var errNoOverrides = notFound("overrides are not served")

func (h *Handler) listOverrides(w http.ResponseWriter, r *http.Request) error {
	if h.Overrides == nil {
		return errNoOverrides
	}
	list, err := h.Overrides.Overrides(r.Context())
	if err != nil {
		return fmt.Errorf("list overrides: %w", err)
	}
	return writeData(w, filled(list))
}

// postOverride puts somebody on call for a while.
func (h *Handler) postOverride(w http.ResponseWriter, r *http.Request) error {
	if h.Overrides == nil {
		return errNoOverrides
	}
	var o wire.Override
	actor, err := h.actorWithBody(r, &o, func() string { return o.CreatedBy })
	if err != nil {
		return err
	}
	made, err := h.addOverride(r, o, actor)
	if err != nil {
		return err
	}
	return writeData(w, made)
}

func (h *Handler) addOverride(r *http.Request, o wire.Override, actor string) (wire.Override, error) {
	now := h.Now()
	o.ID, o.CreatedBy, o.CreatedAt = 0, actor, now
	if o.From.IsZero() {
		o.From = now
	}
	o.From, o.Until = o.From.UTC().Truncate(time.Second), o.Until.UTC().Truncate(time.Second)
	reason, err := noteOf(cmp.Or(o.Reason, "-"))
	if err != nil {
		return o, err
	}
	if o.Reason != "" {
		o.Reason = reason
	}
	switch {
	case o.Schedule == "" || o.User == "":
		return o, badData("an override needs a schedule and a user")
	case !o.Until.After(o.From) || !o.Until.After(now):
		return o, badData("an override must end after it begins, and not in the past")
	case o.Until.Sub(o.From) > maxRota:
		return o, badData("an override lasts at most %d days", maxRota/(24*time.Hour))
	}
	made, err := h.Overrides.AddOverride(r.Context(), o, actor)
	if err != nil {
		return o, fmt.Errorf("add override: %w", err)
	}
	return made, nil
}

func (h *Handler) deleteOverride(w http.ResponseWriter, r *http.Request) error {
	if h.Overrides == nil {
		return errNoOverrides
	}
	actor, err := h.tokens.Load().actor(bearer(r), "")
	if err != nil {
		return err
	}
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return notFound("there is no override %q", cut(r.PathValue("id"), 40))
	}
	if err := h.Overrides.EndOverride(r.Context(), id, actor); err != nil {
		return fmt.Errorf("end override %d: %w", id, err)
	}
	return writeData(w, map[string]int64{"id": id})
}

// actorWithBody returns who acts, and decodes the body of the request. by
// tells whom the body names, for a token without a name of its own.
func (h *Handler) actorWithBody(r *http.Request, v any, by func() string) (actor string, err error) {
	tokens := h.tokens.Load()
	if _, err := tokens.actor(bearer(r), ""); err != nil { // before anything is read
		return "", err
	}
	body, err := readJSON(r, maxActBody)
	if err != nil {
		return "", err
	}
	if err := decodeStrict(body, v); err != nil {
		return "", badData("the body cannot be read: %s", cut(err.Error(), 200))
	}
	name, err := parseName(by())
	if err != nil {
		return "", err
	}
	return tokens.actor(bearer(r), name)
}
