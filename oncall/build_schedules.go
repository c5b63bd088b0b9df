package oncall

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// maxShift is the longest shift length.
const maxShift = 366 * 24 * time.Hour

func (b *builder) schedule(src source, field string, y scheduleYAML) {
	ok := b.named(src, field+".name", y.Name, b.schedAt)
	s := &schedule{place: src.place(field + ".name"), loc: b.zone(src, field+".timezone", y.Timezone)}
	s.layers = b.layers(src, field, y.Rotation, y.Layers, y.Holidays, s.loc)
	s.hours = b.hours(src, field+".working_hours", y.WorkingHours, y.Holidays, s.loc)
	each(y.Temporary, field+".temporary", func(at string, t temporaryYAML) {
		s.temporary = append(s.temporary, temporary{
			span:   b.span(src, at, t.From, t.Until, s.loc, "the temporary schedule"),
			layers: b.layers(src, at, t.Rotation, t.Layers, y.Holidays, s.loc),
		})
	})
	each(y.Overrides, field+".overrides", func(at string, o overrideYAML) {
		b.usesUser(src, at+".user", o.User)
		b.text(src, at+".reason", o.Reason)
		s.overrides = append(s.overrides, override{b.span(src, at, o.From, o.Until, s.loc, "the override"), o.User, o.Reason})
	})
	each(y.Swaps, field+".swaps", func(at string, w swapYAML) { s.swaps = append(s.swaps, b.swap(src, at, w, s.loc)) })
	if ok {
		s.people = people(s)
		b.identify(y.Name, s)
		b.r.schedules[y.Name] = s
		b.r.order = append(b.r.order, y.Name)
	}
}

// people returns everybody whom the layers name, those of the usual ones
// first.
func people(s *schedule) (all []string) {
	for _, l := range s.everyLayer() {
		names := l.rotation.participants
		if l.feed != nil {
			names = l.feed.people
		}
		for _, name := range names {
			if name != "" && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	return all
}

// layers reads either a list of layers or a rotation alone.
func (b *builder) layers(src source, field string, alone *rotationYAML, list []layerYAML, off *holidaysYAML, loc *time.Location) (all []*layer) {
	switch {
	case alone != nil && len(list) > 0:
		b.add(src.at(field+".rotation", "both rotation and layers are given", "rotation is short for one layer: make it one of the list"))
	case alone == nil && len(list) == 0:
		b.add(src.at(field+".rotation", "missing", "a rotation, or layers with a rotation or a calendar each"))
	}
	if alone != nil {
		r := b.rotation(src, field+".rotation", *alone, loc)
		r.early = true
		all = append(all, &layer{rotation: r, loc: loc})
	}
	seen := map[string]string{}
	each(list, field+".layers", func(at string, y layerYAML) {
		b.named(src, at+".name", y.Name, seen)
		l := &layer{name: y.Name, loc: loc, span: b.openSpan(src, at, y.From, y.Until, loc, [2]string{"from", "until"}, "the layer")}
		switch {
		case y.Rotation != nil && y.Calendar != nil:
			b.add(src.at(at+".calendar", "both a rotation and a calendar are given", "make them two layers"))
		case y.Calendar != nil:
			l.feed = b.feed(src, at, y.Name, *y.Calendar, loc)
		case y.Rotation != nil:
			l.rotation = b.rotation(src, at+".rotation", *y.Rotation, loc)
		default:
			b.add(src.at(at+".rotation", "missing", "{handoff, start, participants}, or a calendar"))
		}
		each(y.Restrictions, at+".restrictions", func(at string, w windowYAML) {
			l.windows = append(l.windows, b.window(src, at, w, windowYAML{"sun-sat", "00:00", "24:00", off}, loc))
		})
		all = append(all, l)
	})
	return all
}

func (b *builder) rotation(src source, field string, y rotationYAML, loc *time.Location) rotation {
	r := rotation{loc: loc, participants: y.Participants, counted: &atomic.Pointer[count]{}}
	var err error
	if r.handoff, err = parseHandoff(y.Handoff); err != nil {
		b.add(src.value(field+".handoff", err))
	}
	r.start = b.instant(src, field+".start", y.Start, loc)
	r.shift = b.duration(src, field+".shift", y.Shift, time.Minute, maxShift)
	if r.shift%time.Minute != 0 {
		b.add(src.at(field+".shift", "the length is not of whole minutes", ""))
	}
	if len(y.Participants) == 0 || len(slices.Compact(slices.Clone(y.Participants))) == 1 && y.Participants[0] == "" {
		b.add(src.at(field+".participants", "nobody is on call", "list at least one user"))
	}
	for i, name := range y.Participants {
		if name != "" {
			b.usesUser(src, fmt.Sprintf("%s.participants.%d", field, i), name)
		}
	}
	return r
}

func (b *builder) swap(src source, field string, y swapYAML, loc *time.Location) (w swap) {
	if len(y.Between) != 2 || y.Between[0] == y.Between[1] {
		b.add(src.at(field+".between", "a swap is between two users", "such as [li.wei, ana]"))
	} else {
		w.between = [2]string(y.Between)
	}
	for i, name := range y.Between {
		b.usesUser(src, fmt.Sprintf("%s.between.%d", field, i), name)
	}
	if len(y.Shifts) == 0 {
		b.add(src.at(field+".shifts", "missing", "list the spans {from, until} in which the two change places"))
	}
	each(y.Shifts, field+".shifts", func(at string, s spanYAML) {
		w.spans = append(w.spans, b.span(src, at, s.From, s.Until, loc, "the shift"))
	})
	return w
}

// window reads a window; what it does not say is as in otherwise.
func (b *builder) window(src source, field string, y, otherwise windowYAML, loc *time.Location) (w window) {
	var err error
	if w.days, err = parseDays(or(y.Days, otherwise.Days)); err != nil {
		b.add(src.value(field+".days", err))
	}
	if w.from, err = parseClock(or(y.From, otherwise.From)); err != nil {
		b.add(src.value(field+".from", err))
	}
	if w.until, err = parseClock(or(y.Until, otherwise.Until)); err != nil {
		b.add(src.value(field+".until", err))
	}
	if w.from == 24*60 {
		b.add(src.at(field+".from", `"24:00" is the end of a day`, `"00:00" is the beginning of the next`))
	}
	if w.until <= w.from { // across midnight
		w.until += 24 * 60
	}
	holidays, at := y.Holidays, field+".holidays.calendar"
	if holidays == nil && otherwise.Holidays != nil {
		holidays, at = otherwise.Holidays, scheduleField(field)+".holidays.calendar"
	}
	if holidays != nil {
		w.calendar = &calendar{}
		b.follow(src, at, holidays.Calendar, w.calendar, loc)
	}
	return w
}

// scheduleField returns the field of the schedule that another is of.
func scheduleField(field string) string {
	var i int
	if _, err := fmt.Sscanf(field, "schedules.%d", &i); err != nil {
		return field
	}
	return fmt.Sprintf("schedules.%d", i)
}

// hours reads working hours, which end on the day on which they begin.
func (b *builder) hours(src source, field string, y windowYAML, off *holidaysYAML, loc *time.Location) hours {
	before := len(b.problems)
	w := b.window(src, field, y, windowYAML{"mon-fri", "09:00", "18:00", off}, loc)
	if len(b.problems) == before && w.until > 24*60 {
		b.add(src.at(field+".until", "working hours end before they begin", "until must be after from, on the same day"))
	}
	return hours{w, loc}
}

// usualHours are those of people whose schedule says nothing.
func usualHours(loc *time.Location) hours {
	return hours{window{days: [7]bool{false, true, true, true, true, true, false}, from: 9 * 60, until: 18 * 60}, loc}
}
