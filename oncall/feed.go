package oncall

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/oncall/ical"
)

// Feed is a calendar, behind a URL, that a layer's shifts come from. Whoever
// fetches it gives it to WithFeeds.
type Feed struct {
	ID       string // tells feeds of a roster apart: the schedule and the layer
	Schedule string
	Layer    string
	URL      secret.Secret  // http or https
	Refresh  time.Duration  // how often it should be fetched; at least a minute
	Zone     *time.Location // of times that name none
}

// Feeds returns the calendars that are not in the files, in their order.
func (r *Roster) Feeds() []Feed {
	var all []Feed
	for _, name := range r.order {
		for _, l := range r.schedules[name].everyLayer() {
			if l.feed != nil && !l.feed.URL.Empty() {
				all = append(all, l.feed.Feed)
			}
		}
	}
	return all
}

// WithFeeds returns a roster whose layers have these calendars, by the IDs of
// Feeds. A layer whose calendar is not among them has nobody: its whole time
// is a gap. Overrides made at run time stay; those given to With later are
// laid over the calendars like over all else.
func (r *Roster) WithFeeds(calendars map[string]*ical.Source) *Roster {
	with := *r
	with.schedules = make(map[string]*schedule, len(r.schedules))
	for name, s := range r.schedules {
		with.schedules[name] = s.withFeeds(r.names, calendars)
	}
	return &with
}

func (s *schedule) withFeeds(known *names, calendars map[string]*ical.Source) *schedule {
	c := *s
	c.layers = withFeeds(s.layers, known, calendars)
	c.temporary = slices.Clone(s.temporary)
	for i, t := range s.temporary {
		c.temporary[i].layers = withFeeds(t.layers, known, calendars)
	}
	c.people = people(&c)
	return &c
}

func withFeeds(layers []*layer, known *names, calendars map[string]*ical.Source) []*layer {
	with := slices.Clone(layers)
	for i, l := range layers {
		if l.feed == nil || l.feed.URL.Empty() {
			continue
		}
		c := *l
		c.feed = l.feed.with(calendars[l.feed.ID], known)
		with[i] = &c
	}
	return with
}

// everyLayer returns the layers of a schedule, the usual ones first.
func (s *schedule) everyLayer() []*layer {
	all := slices.Clone(s.layers)
	for _, t := range s.temporary {
		all = append(all, t.layers...)
	}
	return all
}

// feed is a calendar whose events are the shifts of a layer. One that nobody
// has given yet has none.
type feed struct {
	Feed
	place place
	by    matching

	given   bool
	known   *ical.Source // events that name somebody
	unknown *ical.Source // and those that do not
	people  []string     // whom it names, once each
	names   *names
	bounds  span // outside of which it has no shifts
	years   *years
}

// with returns the feed with a calendar, nil for none.
func (f *feed) with(calendar *ical.Source, known *names) *feed {
	c := &feed{Feed: f.Feed, place: f.place, by: f.by, names: known, years: &years{}}
	if calendar == nil {
		return c
	}
	c.given = true
	c.known = calendar.Select(func(e ical.Event) bool {
		user := known.of(e, c.by)
		if user != "" && !slices.Contains(c.people, user) {
			c.people = append(c.people, user)
		}
		return user != ""
	})
	c.unknown = calendar.Select(func(e ical.Event) bool { return known.of(e, c.by) == "" })
	if from, until, ok := c.known.Span(); ok {
		c.bounds = span{from, until}
		if until.IsZero() {
			c.bounds.until = lastShift
		}
	}
	return c
}

// lastShift is after every shift of a calendar that goes on for ever.
var lastShift = time.Date(2201, time.January, 1, 0, 0, 0, 0, time.UTC)

// at returns whose shift an instant is in.
func (f *feed) at(at time.Time) turn {
	switch {
	case f.bounds == span{}: // nobody is in it
		return turn{until: forever}
	case at.Before(f.bounds.from):
		return turn{until: f.bounds.from}
	case !at.Before(f.bounds.until):
		return turn{from: f.bounds.until, until: forever}
	}
	y := at.UTC().Year()
	shifts := f.years.of(y, f.shifts)
	next := sort.Search(len(shifts), func(i int) bool { return shifts[i].until.After(at) })
	if next < len(shifts) && !at.Before(shifts[next].from) {
		return shifts[next]
	}
	gap := turn{from: f.bounds.from, until: f.bounds.until}
	if before, ok := f.nearest(y, -1, shifts[:next]); ok {
		gap.from = before.until
	}
	if after, ok := f.nearest(y, +1, shifts[next:]); ok {
		gap.until = after.from
	}
	return gap
}

// maxEmptyYears is after how many years without a shift none is looked for.
const maxEmptyYears = 10

// nearest returns the last shift before a gap, or the first after it: of the
// same year, when there is one, else of those before or after.
func (f *feed) nearest(year, step int, same []turn) (t turn, ok bool) {
	for n := 0; len(same) == 0 && n < maxEmptyYears; n++ {
		year += step
		if !newYear(year+1).After(f.bounds.from) || !newYear(year).Before(f.bounds.until) {
			return turn{}, false
		}
		same = f.years.of(year, f.shifts)
	}
	switch {
	case len(same) == 0:
		return turn{}, false
	case step < 0:
		return same[len(same)-1], true
	}
	return same[0], true
}

func newYear(y int) time.Time { return time.Date(y, time.January, 1, 0, 0, 0, 0, time.UTC) }

// shifts returns the shifts of a year of UTC, in order, those cut to it that
// reach beyond. Of events at one time the one that began last has it, and of
// those that began together the one that ends first.
func (f *feed) shifts(year int) []turn {
	from, until := newYear(year), newYear(year+1)
	events := f.known.Between(from, until)
	slices.SortStableFunc(events, func(a, b ical.Event) int {
		return cmp.Or(a.Start.Compare(b.Start), b.End.Compare(a.End), cmp.Compare(b.UID, a.UID))
	})
	l := lay{now: from}
	for _, e := range events {
		l.until(later(from, e.Start))
		l.open = append(l.open, turn{user: f.names.of(e, f.by), from: e.Start, until: earlier(e.End, until), of: e.Start})
	}
	l.until(until)
	return l.done
}

// lay lays events side by side that were one over the other.
type lay struct {
	now  time.Time
	open []turn // the topmost last
	done []turn
}

// until goes on to an instant.
func (l *lay) until(end time.Time) {
	for n := len(l.open); n > 0 && l.now.Before(end); n = len(l.open) {
		top := l.open[n-1]
		if !top.until.After(l.now) {
			l.open = l.open[:n-1]
			continue
		}
		top.from, top.until = l.now, earlier(top.until, end)
		l.done = append(l.done, top)
		l.now = top.until
	}
	l.now = later(l.now, end)
}

// maxYears is how many years of a calendar are remembered.
const maxYears = 200

// years remembers the shifts of years: a calendar is asked for the same few
// again and again.
type years struct {
	mu    sync.Mutex
	known map[int][]turn
}

func (y *years) of(year int, find func(int) []turn) []turn {
	y.mu.Lock()
	defer y.mu.Unlock()
	shifts, ok := y.known[year]
	if !ok {
		if y.known == nil || len(y.known) >= maxYears {
			y.known = map[int][]turn{}
		}
		shifts = find(year)
		y.known[year] = shifts
	}
	return shifts
}

// maxStrangers is how many events of one calendar are reported.
const maxStrangers = 5

// lint finds what of a calendar is not known, or names nobody.
func (f *feed) lint(at time.Time, horizon time.Duration, loc *time.Location) (found []Finding) {
	if !f.given {
		return []Finding{f.place.finding(Warning, fmt.Sprintf("the calendar of layer %q in %q is not known", f.Layer, f.Schedule), "nobody is on call by it until it is fetched")}
	}
	events := f.unknown.Between(at, at.Add(horizon))
	for i, e := range events {
		message := fmt.Sprintf("the event %q of %s, in the calendar of layer %q, names nobody known", clip(e.Summary), clock(e.Start, loc), f.Layer)
		if more := len(events) - i - 1; i == maxStrangers-1 && more > 0 {
			message += fmt.Sprintf(", and so do %d more", more)
		}
		found = append(found, f.place.finding(Warning, message, "a user's name, full name or mail address: "+f.by.hint()))
		if len(found) == maxStrangers {
			break
		}
	}
	return found
}

// clip shortens a text of somebody else's to what fits a line.
func clip(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return text
}
