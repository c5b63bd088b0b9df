package rules

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/midwatch-slo/midwatch/slo"
)

// window is a time over which errors and total are recorded: for all SLOs, or
// for those that need it.
type window struct {
	length time.Duration
	parts  []part // newest first; none: it has an edge
	fast   bool   // recorded at every evaluation
	shown  bool   // a tier's or a budget's: its ratio is recorded too,
	prompt bool   // and as often as itself, not only every two minutes
	needs  needs
}

// part is a shorter window from which a longer one is laid out.
type part struct {
	length, offset time.Duration
}

// needs says which SLOs need a window.
type needs struct {
	slos    map[string]int         // how many, by the ID of the first of those that need the same
	tiers   map[string]bool        // those that have a tier of these names
	periods map[time.Duration]bool // those whose budget's window is so long
	units   map[slo.Calendar]bool  // those whose budget's window is a calendar's
}

func newNeeds(id string, slos int) needs {
	return needs{
		slos: map[string]int{id: slos}, tiers: map[string]bool{}, periods: map[time.Duration]bool{}, units: map[slo.Calendar]bool{},
	}
}

// count returns how many SLOs they are.
func (n needs) count() (sum int) {
	for _, slos := range n.slos {
		sum += slos
	}
	return sum
}

func (n needs) add(other needs) {
	maps.Copy(n.slos, other.slos)
	maps.Copy(n.tiers, other.tiers)
	maps.Copy(n.periods, other.periods)
	maps.Copy(n.units, other.units)
}

// tiles are the windows from which longer ones are laid out, longest first.
// Each selector of a rule is looked up in every block of the storage that the
// rule's oldest one reaches, so few long tiles cost less than many short ones.
func tiles() []time.Duration {
	return []time.Duration{9 * day, 3 * day, day, 6 * hour, 2 * hour, hour}
}

// layout returns the parts of a window: as many tiles as fit, the longest
// first, and the rest with an edge of its own. A window up to an hour, or with
// a rest shorter than an edge, has none.
func layout(length time.Duration) []part {
	if length <= hour {
		return nil
	}
	rest := length % hour
	if rest > 0 && rest < edge {
		rest += hour
	}
	if rest == length {
		return nil
	}
	var parts []part
	offset := time.Duration(0)
	for _, tile := range tiles() {
		if tile >= day && length < 3*day && length%day != 0 {
			continue // days are recorded less often: where they meet hours, minutes count twice or not at all
		}
		for tile < length && offset+tile <= length-rest {
			parts = append(parts, part{tile, offset})
			offset += tile
		}
	}
	if rest > 0 {
		parts = append(parts, part{rest, offset})
	}
	return parts
}

// shortWindows returns the windows below five minutes that the tiers of an
// SLO need, shortest first. They are rates of raw counters. One as long as a
// burst is recorded anyway: twice, it would count twice in the older part of
// windows.
func (c *compiler) shortWindows(s slo.SLO) []time.Duration {
	var out []time.Duration
	for _, t := range s.Alerts.Tiers {
		for _, d := range []time.Duration{t.Long, t.Short} {
			if d < edge && d != c.burst {
				out = append(out, d)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// windows returns what SLOs need to be recorded beyond their event series,
// each window after those from which it is laid out.
func (c *compiler) windows(slos []slo.SLO) []window {
	all := map[time.Duration]*window{}
	for _, k := range kinds(slos) {
		s := k.first
		for _, t := range s.Alerts.Tiers {
			need := newNeeds(s.ID(), k.slos)
			need.tiers[t.Name] = true
			for _, d := range []time.Duration{t.Long, t.Short} {
				w := want(all, d, isFast(t, *s), need)
				w.shown, w.prompt = true, w.prompt || isFast(t, *s)
			}
		}
		need := newNeeds(s.ID(), k.slos)
		if unit, _ := s.Window.Calendar(); unit != "" {
			need.units[unit] = true
			want(all, hour, true, need)
			continue
		}
		need.periods[s.Window.Duration()] = true
		want(all, s.Window.Duration(), false, need).shown = true
	}
	var out []window
	for _, w := range all {
		if w.length > edge {
			out = append(out, *w)
		}
	}
	slices.SortFunc(out, func(a, b window) int { return cmp.Compare(a.length, b.length) })
	return out
}

// kind are SLOs that need the same windows.
type kind struct {
	first *slo.SLO
	slos  int
}

// kinds returns the kinds of SLOs in the order of their first ones.
func kinds(slos []slo.SLO) []*kind {
	byKey := map[string]*kind{}
	var out []*kind
	var key []byte
	for i := range slos {
		s := &slos[i]
		unit, _ := s.Window.Calendar()
		key = strconv.AppendInt(append(key[:0], unit...), int64(s.Window.Duration()), 10)
		for _, t := range s.Alerts.Tiers {
			key = append(append(key, ' '), t.Name...)
			key = strconv.AppendInt(append(key, ' '), int64(t.Long), 10)
			key = strconv.AppendInt(append(key, ' '), int64(t.Short), 10)
			key = strconv.AppendBool(append(key, ' '), isFast(t, *s))
		}
		k := byKey[string(key)]
		if k == nil {
			k = &kind{first: s}
			byKey[string(key)] = k
			out = append(out, k)
		}
		k.slos++
	}
	return out
}

// isFast says whether the windows of a tier follow every evaluation: they are
// short, or the tier pages.
func isFast(t slo.Tier, s slo.SLO) bool {
	return t.Long <= 6*hour || pages(t.SeverityOf(s))
}

// want notes that a window is needed, and so all from which it is laid out.
func want(all map[time.Duration]*window, length time.Duration, fast bool, need needs) *window {
	w := all[length]
	if w == nil {
		w = &window{length: length, parts: layout(length), needs: newNeeds("", 0)}
		all[length] = w
	}
	w.fast = w.fast || fast || length <= 6*hour
	w.needs.add(need)
	seen := map[time.Duration]bool{}
	for _, p := range w.parts {
		if !seen[p.length] {
			seen[p.length] = true
			want(all, p.length, fast, need)
		}
	}
	return w
}

// every returns how often a window is recorded.
func (c *compiler) every(length time.Duration) time.Duration {
	if c.fastWindows[length] {
		return c.o.Interval
	}
	return slow
}
