package oncall

import (
	"slices"
	"time"
)

// schedule says who is on call, one thing laid over the other: the layers,
// later ones on top; temporary schedules in the place of all layers; swaps,
// overrides of the files, and those made at run time.
type schedule struct {
	place     place
	loc       *time.Location
	layers    []*layer
	temporary []temporary
	swaps     []swap
	overrides []override // of the files; later ones on top
	runtime   []override // later ones on top
	hours     hours
	people    []string // everybody whom the layers name, once each
}

// layer is a rotation, or somebody's calendar, that applies at certain times.
type layer struct {
	name     string // "" for that of a schedule with only one
	rotation rotation
	feed     *feed // nil: it is a rotation
	loc      *time.Location
	windows  windows
	span     span
}

// span is a span of time: from its first instant up to, not with, its last. A
// zero from has no beginning, a zero until no end.
type span struct{ from, until time.Time }

func (s span) covers(at time.Time) bool {
	return !at.Before(s.from) && (s.until.IsZero() || at.Before(s.until))
}

// temporary is a span in which a schedule has other layers.
type temporary struct {
	span
	layers []*layer
}

// swap is an exchange of two people's shifts in some spans.
type swap struct {
	between [2]string
	spans   []span
}

type override struct {
	span
	user   string
	reason string
}

// piece is a span of time in which one answer holds. user is "" where nobody
// is on call.
type piece struct {
	user        string
	from, until time.Time
	layer       *layer
	turn        time.Time // beginning of the turn that it is a part of
	override    int       // number of the override, from 1; below 0 of the swap; 0 none
	reason      string    // of the override
}

// continues tells whether a piece is of the same shift as the one before it.
func (p piece) continues(before piece) bool {
	if p.user == "" || before.user == "" {
		return p.user == before.user
	}
	return p.user == before.user && p.layer == before.layer && p.turn.Equal(before.turn) && p.override == before.override
}

// clip cuts a piece around an instant to where the instant's relation to a
// span does not change.
func (p *piece) clip(s span, at time.Time) {
	switch {
	case at.Before(s.from):
		p.until = earlier(p.until, s.from)
	case s.covers(at):
		p.from = later(p.from, s.from)
		if !s.until.IsZero() {
			p.until = earlier(p.until, s.until)
		}
	default:
		p.from = later(p.from, s.until)
	}
}

// at returns the answer for an instant.
func (s *schedule) at(at time.Time) piece {
	if p, ok := overridden(s.runtime, len(s.overrides), at); ok {
		return p
	}
	p, ok := overridden(s.overrides, 0, at)
	if !ok {
		p = s.planned(at)
		s.swap(&p, at)
		for _, o := range s.overrides {
			p.clip(o.span, at)
		}
	}
	for _, o := range s.runtime {
		p.clip(o.span, at)
	}
	return p
}

// overridden returns what the topmost override at an instant says. They are
// numbered from before+1.
func overridden(all []override, before int, at time.Time) (piece, bool) {
	for i, o := range slices.Backward(all) {
		if !o.covers(at) {
			continue
		}
		p := piece{user: o.user, from: o.from, until: o.until, override: before + i + 1, reason: o.reason}
		for _, above := range all[i+1:] {
			p.clip(above.span, at)
		}
		return p, true
	}
	return piece{}, false
}

// planned is what the layers say, or those of a temporary schedule.
func (s *schedule) planned(at time.Time) piece {
	layers, i := s.layers, len(s.temporary)-1
	for ; i >= 0; i-- {
		if s.temporary[i].covers(at) {
			layers = s.temporary[i].layers
			break
		}
	}
	p := stacked(layers, at)
	for _, t := range s.temporary[max(i, 0):] {
		p.clip(t.span, at)
	}
	return p
}

// stacked is what the topmost layer that has somebody says.
func stacked(layers []*layer, at time.Time) piece {
	p := piece{until: forever}
	for _, l := range slices.Backward(layers) {
		t := l.at(at)
		p.clip(span{t.from, t.until}, at)
		if t.user != "" {
			p.user, p.layer, p.turn = t.user, l, t.of
			break
		}
	}
	return p
}

// at returns whose turn an instant is in a layer, nobody's where the layer
// does not apply.
func (l *layer) at(at time.Time) turn {
	switch {
	case at.Before(l.span.from):
		return turn{until: l.span.from}
	case !l.span.covers(at):
		return turn{from: l.span.until, until: forever}
	}
	in, from, until := l.windows.at(at, l.loc)
	t := turn{from: from, until: until}
	if in {
		t = l.turn(at)
		t.from, t.until = later(t.from, from), earlier(t.until, until)
	}
	t.from = later(t.from, l.span.from)
	if !l.span.until.IsZero() {
		t.until = earlier(t.until, l.span.until)
	}
	return t
}

// turn returns whose turn an instant is, whether or not the layer applies.
func (l *layer) turn(at time.Time) turn {
	if l.feed != nil {
		return l.feed.at(at)
	}
	return l.rotation.at(at)
}

// swap exchanges the people who swapped, the earlier swap first.
func (s *schedule) swap(p *piece, at time.Time) {
	for i, w := range s.swaps {
		for _, sp := range w.spans {
			p.clip(sp, at)
			if !sp.covers(at) {
				continue
			}
			switch p.user {
			case w.between[0]:
				p.user, p.override = w.between[1], -i-1
			case w.between[1]:
				p.user, p.override = w.between[0], -i-1
			}
			break
		}
	}
}
