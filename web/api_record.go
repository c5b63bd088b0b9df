package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Bounds of a list of deeds.
const (
	defaultDeeds = 100
	maxDeeds     = 1000
)

// listAudit answers who did what, newest first; before is the ID of the last
// line of the list before.
func (h *Handler) listAudit(w http.ResponseWriter, r *http.Request) error {
	before, err := wholeNumber(r, "before", 0, 1<<62)
	if err != nil {
		return err
	}
	limit, err := wholeNumber(r, "limit", defaultDeeds, maxDeeds)
	if err != nil {
		return err
	}
	list, err := h.audited(r, before, int(limit))
	if err != nil {
		return err
	}
	return writeData(w, filled(list))
}

func (h *Handler) audited(r *http.Request, before int64, limit int) ([]wire.Deed, error) {
	if h.Audit == nil {
		return nil, notFound("the audit is not served")
	}
	list, err := h.Audit.Deeds(r.Context(), before, limit)
	if err != nil {
		return nil, fmt.Errorf("list audit: %w", err)
	}
	return list, nil
}

// wholeNumber reads a query parameter from 1 to most.
func wholeNumber(r *http.Request, name string, missing, most int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return missing, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > most {
		return 0, badData("%s must be a whole number from 1 to %d, not %q", name, most, cut(text, 40))
	}
	return n, nil
}

var errNoDrills = notFound("drills are not served")

func (h *Handler) listDrills(w http.ResponseWriter, r *http.Request) error {
	if h.Drills == nil {
		return errNoDrills
	}
	list, err := h.Drills.Drills(r.Context())
	if err != nil {
		return fmt.Errorf("list drills: %w", err)
	}
	return writeData(w, filled(list))
}

// postDrill starts a drill. Its answer says whom it pages; how it went is
// asked for later.
func (h *Handler) postDrill(w http.ResponseWriter, r *http.Request) error {
	var what wire.DrillRequest
	actor, err := h.actorWithBody(r, &what, func() string { return what.By })
	if err != nil {
		return err
	}
	made, err := h.startDrill(r, what, actor)
	if err != nil {
		return err
	}
	return writeData(w, made)
}

func (h *Handler) startDrill(r *http.Request, what wire.DrillRequest, actor string) (wire.Drill, error) {
	if h.Drills == nil {
		return wire.Drill{}, errNoDrills
	}
	what.By = actor
	what.Level = cmp.Or(what.Level, alert.P2.String())
	level, err := alert.ParseLevel(what.Level)
	if err != nil || level == alert.Info {
		return wire.Drill{}, badData("the level of a drill must be P1, P2 or P3, not %q", cut(what.Level, 40))
	}
	what.Level = level.String()
	if (what.Schedule == "") == (what.User == "") {
		return wire.Drill{}, badData("a drill is for whoever is on call by a schedule, or for a user: name one of them")
	}
	made, err := h.Drills.StartDrill(r.Context(), what, actor)
	if err != nil {
		return wire.Drill{}, fmt.Errorf("start drill: %w", err)
	}
	return made, nil
}

func (h *Handler) delivery(r *http.Request) (wire.Delivery, error) {
	if h.Delivery == nil {
		return wire.Delivery{}, notFound("the delivery is not served")
	}
	d, err := h.Delivery.Delivery(r.Context())
	if err != nil {
		return wire.Delivery{}, fmt.Errorf("ask how pages go out: %w", err)
	}
	d.Channels, d.Dead = filled(d.Channels), slices.Clone(d.Dead)
	for i, p := range d.Dead {
		d.Dead[i] = discreet(p)
	}
	d.Dead = filled(d.Dead)
	return d, nil
}

// discreet returns a page without what only its reader is to have: a link that
// acknowledges, the address, the provider's reference.
func discreet(p page.Record) page.Record {
	p.AckLink, p.To.Address, p.Ref, p.Key = "", "", "", ""
	p.Evidence, p.Story, p.Body, p.Incident.Alerts = nil, nil, "", nil
	return p
}

func (h *Handler) getDelivery(w http.ResponseWriter, r *http.Request) error {
	d, err := h.delivery(r)
	if err != nil {
		return err
	}
	return writeData(w, d)
}

func (h *Handler) listDeadPages(w http.ResponseWriter, r *http.Request) error {
	d, err := h.delivery(r)
	if err != nil {
		return err
	}
	return writeData(w, d.Dead)
}

func (h *Handler) heartbeats(r *http.Request) ([]wire.Heartbeat, error) {
	if h.Heartbeats == nil {
		return nil, notFound("heartbeats are not served")
	}
	beats, err := h.Heartbeats.Beats(r.Context())
	if err != nil {
		return nil, fmt.Errorf("list heartbeats: %w", err)
	}
	list := []wire.Heartbeat{}
	for cluster, at := range beats {
		list = append(list, wire.Heartbeat{Cluster: cluster, At: at})
	}
	slices.SortFunc(list, func(a, b wire.Heartbeat) int { return cmp.Compare(a.Cluster, b.Cluster) })
	return list, nil
}

func (h *Handler) listHeartbeats(w http.ResponseWriter, r *http.Request) error {
	list, err := h.heartbeats(r)
	if err != nil {
		return err
	}
	return writeData(w, list)
}
