package web

import (
	"cmp"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// Bounds of the pages of records.
const (
	maxDead   = 100
	maxDrills = 100
)

// deliveryView is the content of the page of how pages go out.
type deliveryView struct {
	State    state
	Channels []channelRow
	Beats    []beatRow
	Dead     []deadRow
	DeadMore int
	Warnings []string
}

type channelRow struct {
	wire.Channel
	Oldest, Sent, Failed stamp
	Waits                string // for how long the oldest has waited
	Tone                 tone
}

type beatRow struct {
	Cluster string
	At      stamp
	Silent  string // for how long nothing was heard
	Tone    tone
}

type deadRow struct {
	Incident int64
	Level    string
	Kind     string
	To       string
	Channel  string
	Caused   stamp
	Given    stamp // when it was given up
	Reason   string
	Attempts int
}

// What is looked at on the page of delivery.
const (
	waitsLong  = time.Minute     // of a page in a queue
	silentLong = 5 * time.Minute // of a watchdog, which is sent every minute or two
)

// deliveryPage shows how pages go out, which did not, and which clusters are
// heard.
func (h *Handler) deliveryPage(w http.ResponseWriter, r *http.Request) error {
	if h.Delivery == nil && h.Heartbeats == nil {
		return notFound("the delivery is not served")
	}
	now := h.Now()
	var v deliveryView
	if h.Delivery != nil {
		d, err := h.delivery(r)
		if err != nil {
			v.Warnings = append(v.Warnings, "How pages go out cannot be read: "+h.explain(r, err).text+".")
		}
		v.addDelivery(h, d, now)
	}
	if h.Heartbeats != nil {
		beats, err := h.heartbeats(r)
		if err != nil {
			v.Warnings = append(v.Warnings, "The heartbeats cannot be read: "+h.explain(r, err).text+".")
		}
		for _, b := range beats {
			row := beatRow{Cluster: b.Cluster, At: h.stamp(b.At, now), Silent: lasting(now.Sub(b.At))}
			if now.Sub(b.At) > silentLong {
				row.Tone = bad
			}
			v.Beats = append(v.Beats, row)
		}
	}
	v.State = v.state()
	return h.show(w, http.StatusOK, "delivery", frame{Title: "Delivery", Refresh: 60, Content: v})
}

func (v *deliveryView) addDelivery(h *Handler, d wire.Delivery, now time.Time) {
	for _, c := range d.Channels {
		row := channelRow{Channel: c, Oldest: h.stamp(c.Oldest, now), Sent: h.stamp(c.SentAt, now), Failed: h.stamp(c.FailedAt, now)}
		if !c.Oldest.IsZero() {
			row.Waits = lasting(now.Sub(c.Oldest))
		}
		switch {
		case c.Problem != "":
			row.Tone = bad
		case !c.Oldest.IsZero() && now.Sub(c.Oldest) > waitsLong, c.FailedAt.After(c.SentAt), c.Queued > 0 && c.LastError != "":
			row.Tone = low
		}
		v.Channels = append(v.Channels, row)
	}
	dead := d.Dead
	if extra := len(dead) - maxDead; extra > 0 {
		dead, v.DeadMore = dead[:maxDead], extra
	}
	for _, p := range dead {
		v.Dead = append(v.Dead, h.deadRow(p, now))
	}
}

func (h *Handler) deadRow(p page.Record, now time.Time) deadRow {
	return deadRow{
		Incident: p.Incident.ID, Level: p.Incident.Level.String(), Kind: string(p.Kind), To: cmp.Or(p.To.FullName, p.To.User), Channel: p.To.Channel,
		Caused: h.stamp(p.At, now), Given: h.stamp(p.SettledAt, now), Reason: p.Reason, Attempts: p.Attempt,
	}
}

// state says in a line how delivery stands.
func (v *deliveryView) state() state {
	var down, slow, silent []string
	for _, c := range v.Channels {
		switch c.Tone {
		case bad:
			down = append(down, c.Name)
		case low:
			slow = append(slow, c.Name)
		default:
		}
	}
	for _, b := range v.Beats {
		if b.Tone == bad {
			silent = append(silent, b.Cluster)
		}
	}
	detail := fmt.Sprintf("%s, %s that nobody got", plural(len(v.Channels), "channel"), plural(len(v.Dead)+v.DeadMore, "page"))
	switch {
	case len(v.Warnings) > 0:
		return state{Text: "Delivery unknown", Detail: "not everything can be read", Tone: low}
	case len(down) > 0:
		return state{Text: strings.Join(down, ", ") + " is out of order", Detail: detail, Tone: bad}
	case len(silent) > 0:
		return state{Text: strings.Join(silent, ", ") + " cannot alert", Detail: detail, Tone: bad}
	case len(slow) > 0:
		return state{Text: "Pages wait for " + strings.Join(slow, ", "), Detail: detail, Tone: low}
	}
	return state{Text: "Pages go out", Detail: detail}
}

// auditView is the content of the page of who did what.
type auditView struct {
	Deeds []deedRow
	Older int64 // what the next page begins below; 0 when there is none
}

type deedRow struct {
	wire.Deed
	When stamp
	Link string // to what it was done to; "" when there is no page of it
}

func (h *Handler) auditPage(w http.ResponseWriter, r *http.Request) error {
	before, err := wholeNumber(r, "before", 0, 1<<62)
	if err != nil {
		return err
	}
	list, err := h.audited(r, before, defaultDeeds+1)
	if err != nil {
		return err
	}
	var v auditView
	for i, d := range list {
		if i == defaultDeeds {
			v.Older = list[i-1].ID
			break
		}
		row := deedRow{Deed: d, When: h.stamp(d.At, h.Now())}
		if id, ok := strings.CutPrefix(d.Target, "incident "); ok {
			if _, err := parseID(id); err == nil {
				row.Link = "/incidents/" + id
			}
		}
		v.Deeds = append(v.Deeds, row)
	}
	return h.show(w, http.StatusOK, "audit", frame{Title: "Audit", Content: v})
}

// drillsView is the content of the page of drills.
type drillsView struct {
	Drills    []drillRow
	Schedules []string
	Users     []wire.User
	Form      form
	Chosen    string
	Level     string
}

type drillRow struct {
	wire.Drill
	Started   stamp
	Users     string
	Delivered string // seconds from the start; "" when not yet
	Acked     string
	Tone      tone
}

func (h *Handler) drillsPage(w http.ResponseWriter, r *http.Request) error {
	if h.Drills == nil {
		return errNoDrills
	}
	if r.Method != http.MethodPost {
		return h.showDrills(w, r, http.StatusOK, form{})
	}
	f, actor, err := h.signed(r)
	if err == nil {
		what := wire.DrillRequest{Level: r.PostForm.Get("level")}
		kind, name, _ := strings.Cut(r.PostForm.Get("to"), ":")
		switch kind {
		case "schedule":
			what.Schedule = name
		case "user":
			what.User = name
		default: // refused below: it names nobody
		}
		_, err = h.startDrill(r, what, actor)
	}
	return h.acted(w, r, "/drills", f, err, func(status int, f form) error { return h.showDrills(w, r, status, f) })
}

func (h *Handler) showDrills(w http.ResponseWriter, r *http.Request, status int, f form) error {
	list, err := h.Drills.Drills(r.Context())
	if err != nil {
		return fmt.Errorf("list drills: %w", err)
	}
	v := drillsView{Form: h.signIn(f), Chosen: r.PostForm.Get("to"), Level: cmp.Or(r.PostForm.Get("level"), alert.P2.String())}
	for _, wa := range h.OnCall.Watches(h.Now()) {
		v.Schedules = append(v.Schedules, wa.Schedule)
	}
	if h.Rotas != nil {
		v.Users = h.Rotas.Users()
	}
	for _, d := range list[:min(len(list), maxDrills)] {
		v.Drills = append(v.Drills, h.drillRow(d))
	}
	return h.show(w, status, "drills", frame{Title: "Drills", Refresh: 10, Content: v})
}

func (h *Handler) drillRow(d wire.Drill) drillRow {
	row := drillRow{Drill: d, Started: h.stamp(d.StartedAt, h.Now()), Users: strings.Join(d.Users, ", ")}
	if !d.DeliveredAt.IsZero() {
		row.Delivered = seconds(d.DeliveredAt.Sub(d.StartedAt))
	}
	if !d.AckedAt.IsZero() {
		row.Acked = seconds(d.AckedAt.Sub(d.StartedAt))
	}
	switch age := h.Now().Sub(d.StartedAt); {
	case d.Problem != "" && row.Delivered == "":
		row.Tone = bad
	case row.Delivered == "" && age > waitsLong, row.Acked == "" && age > silentLong:
		row.Tone = low
	}
	return row
}

// seconds writes a length of time in seconds: 0.4 s, 12.0 s, 95 s.
func seconds(d time.Duration) string {
	s := max(d.Seconds(), 0)
	if s >= 60 {
		return strconv.FormatFloat(s, 'f', 0, 64) + " s"
	}
	return strconv.FormatFloat(s, 'f', 1, 64) + " s"
}
