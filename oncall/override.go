package oncall

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Override puts a person on call in a schedule for a while, whatever the
// files say.
type Override struct {
	ID       int64     `json:"id"` // the later it was made, the higher
	Schedule string    `json:"schedule"`
	User     string    `json:"user"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	Reason   string    `json:"reason,omitempty"`
}

// With returns a roster in which these overrides, and no others made at run
// time, are laid over the files. Where several cover an instant, the one made
// last wins. Those of a schedule or user that does not exist, and those that
// end before they begin, have no effect: Unknown returns them.
func (r *Roster) With(overrides []Override) *Roster {
	with := *r
	with.unknown = nil
	with.schedules = maps.Clone(r.schedules)
	for name, s := range r.schedules {
		c := *s
		c.runtime = nil
		with.schedules[name] = &c
	}
	made := slices.Clone(overrides)
	slices.SortStableFunc(made, func(a, b Override) int { return cmp.Compare(a.ID, b.ID) })
	for _, o := range made {
		s, ok := with.schedules[o.Schedule]
		if _, known := r.users[o.User]; !ok || !known || !o.Until.After(o.From) {
			with.unknown = append(with.unknown, o)
			continue
		}
		s.runtime = append(s.runtime, override{span{o.From.UTC(), o.Until.UTC()}, o.User, o.Reason})
	}
	return &with
}

// Unknown returns those overrides given to With that have no effect.
func (r *Roster) Unknown() []Override { return slices.Clone(r.unknown) }
