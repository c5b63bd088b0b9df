package web

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/midwatch-slo/midwatch/web/wire"
)

// oncallView is the content of the page of who is on call.
type oncallView struct {
	Watches   []watchRow
	Calendars []calendar
	Overrides []overrideRow
	Override  bool   // overrides are served
	Blind     string // why they cannot be read; "" when they can
	Schedules []string
	Users     []wire.User
	Feeds     []feed // of people
	Form      form
	Draft     wire.Override
	From      string // of the draft, as it was written
	Until     string
}

type overrideRow struct {
	wire.Override
	Begins stamp
	Ends   stamp
	Began  bool
}

// feed is a calendar that a phone can subscribe to.
type feed struct{ Name, Path string }

// oncallPage shows who is on call, and changes that for a while.
func (h *Handler) oncallPage(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return h.showOnCall(w, r, http.StatusOK, form{})
	}
	if h.Overrides == nil {
		return errNoOverrides
	}
	f, actor, err := h.signed(r)
	if err == nil {
		err = h.overrideForm(r, actor)
	}
	return h.acted(w, r, "/oncall", f, err, func(status int, f form) error { return h.showOnCall(w, r, status, f) })
}

// overrideForm ends an override or adds one.
func (h *Handler) overrideForm(r *http.Request, actor string) error {
	f := r.PostForm
	if text := f.Get("end"); text != "" {
		id, err := parseID(text)
		if err != nil {
			return badData("there is no override %q", cut(text, 40))
		}
		if err := h.Overrides.EndOverride(r.Context(), id, actor); err != nil {
			return fmt.Errorf("end override %d: %w", id, err)
		}
		return nil
	}
	from, err := h.localTime("its beginning", f, "from", h.Now())
	if err != nil {
		return err
	}
	if f.Get("until") == "" {
		return badData("say when the override ends")
	}
	until, err := h.localTime("its end", f, "until", from)
	if err != nil {
		return err
	}
	_, err = h.addOverride(r, wire.Override{
		Schedule: f.Get("schedule"), User: f.Get("user"), From: from, Until: until, Reason: strings.TrimSpace(f.Get("reason")),
	}, actor)
	return err
}

func (h *Handler) showOnCall(w http.ResponseWriter, r *http.Request, status int, f form) error {
	now := h.Now()
	v := oncallView{
		Watches: h.watchRows(h.OnCall.Watches(now), now), Form: h.signIn(f), Override: h.Overrides != nil,
		Draft: wire.Override{Schedule: r.PostForm.Get("schedule"), User: r.PostForm.Get("user"), Reason: cut(r.PostForm.Get("reason"), 200)},
		From:  r.PostForm.Get("from"), Until: r.PostForm.Get("until"),
	}
	h.addCalendars(&v)
	if h.Overrides != nil {
		list, err := h.Overrides.Overrides(r.Context())
		if err != nil {
			v.Blind = h.explain(r, err).text
		}
		for _, o := range list[:min(len(list), maxShiftRows)] {
			v.Overrides = append(v.Overrides, overrideRow{Override: o, Begins: h.stamp(o.From, now), Ends: h.stamp(o.Until, now), Began: !o.From.After(now)})
		}
	}
	return h.show(w, status, "oncall", frame{Title: "On call", Content: v})
}

func (h *Handler) addCalendars(v *oncallView) {
	if h.Rotas == nil {
		return
	}
	now := h.Now()
	// A day more on either side: schedules have zones of their own.
	rotas := h.Rotas.Rotas(now.AddDate(0, 0, -2), now.AddDate(0, 0, 7*calendarWeeks+2))
	shades := map[string]int{} // of all schedules: a person has one
	for _, rota := range rotas {
		begin := days(now, h.zoneOf(rota))
		rota.Shifts = between(rota.Shifts, begin[0], begin[len(begin)-1])
		c := h.newCalendar(rota, shades, now)
		if h.Calendars != nil {
			c.Feed = feedPath("schedule", rota.Schedule)
		}
		v.Calendars = append(v.Calendars, c)
		v.Schedules = append(v.Schedules, rota.Schedule)
	}
	v.Users = h.Rotas.Users()
	if h.Calendars != nil {
		for _, u := range v.Users[:min(len(v.Users), maxUserFeeds)] {
			name := u.FullName
			if name == "" {
				name = u.Name
			}
			v.Feeds = append(v.Feeds, feed{Name: name, Path: feedPath("user", u.Name)})
		}
	}
}

// maxUserFeeds bounds how many people's calendars the page lists.
const maxUserFeeds = 100

func feedPath(kind, name string) string { return "/ical/" + kind + "/" + url.PathEscape(name) + ".ics" }

// icalFile answers a calendar that phones subscribe to.
func (h *Handler) icalFile(w http.ResponseWriter, r *http.Request) (err error) {
	name, ok := strings.CutSuffix(r.PathValue("file"), ".ics")
	if h.Calendars == nil || !ok {
		return notFound("there is no such calendar")
	}
	var file []byte
	switch r.PathValue("kind") {
	case "schedule":
		file, err = h.Calendars.ScheduleCalendar(name, h.Now())
	case "user":
		file, err = h.Calendars.UserCalendar(name, h.Now())
	default:
		return notFound("there is no such calendar")
	}
	if err != nil {
		return fmt.Errorf("write calendar of %.60q: %w", name, err)
	}
	w.Header().Set("Content-Disposition", `inline; filename="oncall.ics"`)
	w.Header().Set("Cache-Control", "no-cache, max-age="+strconv.Itoa(5*60))
	write(w, http.StatusOK, "text/calendar; charset=utf-8", file)
	return nil
}
