package web

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// form is what a page has to act with, and what came of acting.
type form struct {
	Off     bool // no token is configured
	AskName bool // a token alone does not say who acts
	By      string
	Error   string
}

// signIn completes a form by what it must ask for.
func (h *Handler) signIn(f form) form {
	tokens := h.tokens.Load()
	f.Off, f.AskName = len(tokens.known) == 0, !tokens.allNamed()
	return f
}

// signed reads a form that acts and returns who does. The token must come in
// the form itself, and from a page of this site: no other site can make a
// browser act.
func (h *Handler) signed(r *http.Request) (f form, actor string, err error) {
	if err := h.cross.Check(r); err != nil {
		return f, "", problem{status: http.StatusForbidden, kind: wire.Forbidden, text: "the form does not come from a page of this site"}
	}
	if err := r.ParseForm(); err != nil {
		return f, "", formProblem(err)
	}
	if f.By, err = parseName(r.PostForm.Get("by")); err != nil {
		return form{}, "", err
	}
	actor, err = h.tokens.Load().actor(strings.TrimSpace(r.PostForm.Get("token")), f.By)
	if errors.Is(err, errTokenMissing) {
		return f, "", problem{status: errTokenMissing.status, kind: errTokenMissing.kind, text: "acting needs a token"}
	}
	return f, actor, err
}

func formProblem(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return err
	}
	return badData("the form cannot be read")
}

// acted answers a form: it leads to a page when all went well, else shows the
// page of the form again, with what stands in the way.
func (h *Handler) acted(w http.ResponseWriter, r *http.Request, to string, f form, err error, again func(status int, f form) error) error {
	if err == nil {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return nil
	}
	p := h.explain(r, err)
	if p.status == http.StatusNotFound || p.status == statusClientGone {
		return p
	}
	p.head(w)
	f.Error = p.text
	return again(p.status, f)
}

// actPage does something about an incident for a form of its page.
func (h *Handler) actPage(w http.ResponseWriter, r *http.Request, id int64) error {
	f, actor, err := h.signed(r)
	if err == nil {
		err = h.actForm(r, id, actor)
	}
	return h.acted(w, r, fmt.Sprintf("/incidents/%d", id), f, err, func(status int, f form) error {
		return h.showIncident(w, r, id, status, f)
	})
}

func (h *Handler) actForm(r *http.Request, id int64, actor string) error {
	action := r.PostForm.Get("action")
	name := action
	if action == "acknowledge" {
		name = "ack"
	}
	deeds := h.deeds()
	at := slices.IndexFunc(deeds, func(d deed) bool { return d.name == name })
	if at < 0 {
		return badData("an incident can be acknowledged, resolved and more, not %q", cut(action, 40))
	}
	a := wire.Act{For: r.PostForm.Get("for"), Users: r.PostForm["users"], Text: r.PostForm.Get("text")}
	if into := r.PostForm.Get("into"); into != "" {
		var err error
		if a.Into, err = strconv.ParseInt(into, 10, 64); err != nil {
			return badData("%q is no incident", cut(into, 40))
		}
	}
	_, err := deeds[at].do(r.Context(), id, a, actor)
	if err != nil {
		return incidentError(id, err)
	}
	return nil
}

// mergeable returns the open incidents that one can be merged into.
func (h *Handler) mergeable(r *http.Request, of alert.Incident) (rows []incidentRow) {
	open, err := h.Incidents.List(r.Context(), false)
	if err != nil {
		h.logged(r.Context(), "list incidents to merge into", err)
		return nil
	}
	for _, i := range open {
		if i.ID != of.ID && i.Status != alert.Closed && !i.Drill && !of.Drill && len(rows) < maxMergeable {
			rows = append(rows, h.incidentRow(i, h.Now()))
		}
	}
	return rows
}

// maxMergeable bounds a list to choose from.
const maxMergeable = 50
