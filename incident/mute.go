package incident

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/silence"
)

// muteChunk is how many alerts of a large incident are looked at at once.
const muteChunk = 500

// mute sees whether anybody is to be paged for an incident at an instant: not
// while every alert of it that is not resolved is silenced, inhibited or muted
// by the configuration, nor while all are resolved and it is only held open to
// see whether that lasts. It sets inc.Muted to the reason, "" when somebody is
// to be paged, and returns until when that holds at the latest; the zero time
// is until something changes.
func (e *Engine) mute(tx Tx, inc *alert.Incident, at time.Time) (until time.Time, err error) {
	inc.Muted = ""
	m, err := e.newMuter(tx, at)
	if err != nil {
		return time.Time{}, err
	}
	sum := muteSum{muted: true}
	for _, a := range inc.Alerts {
		if err := sum.add(m, a); err != nil || !sum.muted {
			return time.Time{}, err
		}
	}
	if len(inc.Alerts) == 0 || inc.AlertCount > len(inc.Alerts) {
		if err := sum.addStored(m, inc.ID); err != nil || !sum.muted {
			return time.Time{}, err
		}
	}
	if sum.alerts == 0 {
		until, held, err := tx.Recovery(inc.ID)
		if held {
			inc.Muted = "all its alerts are resolved, and may fire again: it flaps"
		}
		return until, err
	}
	inc.Muted = sum.reason
	return sum.until, nil
}

// muteSum is what is known of an incident after some of its alerts.
type muteSum struct {
	muted  bool // all of them are
	alerts int
	reason string
	until  time.Time // the earliest end of a reason; zero for none
}

func (s *muteSum) add(m *muter, a alert.Alert) error {
	if a.State == alert.Resolved {
		return nil
	}
	by, err := m.of(a, false)
	if err != nil {
		return err
	}
	s.alerts++
	if s.muted = by.any(); !s.muted {
		return nil
	}
	if s.reason == "" {
		s.reason = by.reason
	}
	if !by.until.IsZero() && (s.until.IsZero() || by.until.Before(s.until)) {
		s.until = by.until
	}
	return nil
}

// addStored adds all alerts of an incident as they are kept, those that were
// added before once more.
func (s *muteSum) addStored(m *muter, incident int64) error {
	s.alerts = 0
	for _, state := range []alert.State{alert.Firing, alert.Expired} {
		for after := int64(0); ; {
			some, err := m.tx.IncidentAlerts(incident, state, after, muteChunk)
			if err != nil {
				return err
			}
			for _, a := range some {
				if err := s.add(m, a); err != nil || !s.muted {
					return err
				}
			}
			if len(some) < muteChunk {
				break
			}
			after = some[len(some)-1].ID
		}
	}
	return nil
}

// mutedBy is all that keeps an alert from paging.
type mutedBy struct {
	silences   []string // IDs
	inhibitors []string // fingerprints of alerts
	windows    []string // of the configuration
	reason     string   // the first, for people
	until      time.Time
}

func (b mutedBy) any() bool { return b.reason != "" }

// add notes one more cause, and until when it holds: the zero time is until
// something changes.
func (b *mutedBy) add(reason string, until time.Time) {
	switch {
	case !b.any():
		b.reason, b.until = reason, until
	case until.IsZero() || b.until.IsZero():
		b.until = time.Time{}
	case until.After(b.until):
		b.until = until
	}
}

// muter tells what keeps alerts from paging at an instant, within one
// transaction.
type muter struct {
	e        *Engine
	tx       Tx
	at       time.Time
	rules    []inhibition
	silences []*knownSilence
	found    map[string]string // by an inhibition's key: the fingerprint of its source, "" for none
}

func (e *Engine) newMuter(tx Tx, at time.Time) (*muter, error) {
	silences, err := e.quiet.silences.load(tx, at)
	if err != nil {
		return nil, fmt.Errorf("read silences: %w", err)
	}
	return &muter{e: e, tx: tx, at: at, rules: e.quiet.inhibitions(), silences: silences}, nil
}

// of returns what keeps an alert from paging: with all every cause, else one
// kind of cause that does.
func (m *muter) of(a alert.Alert, all bool) (by mutedBy, err error) {
	for _, s := range m.silences {
		if until, ok := s.mutes(a.Labels, m.at); ok {
			by.silences = append(by.silences, s.ID)
			by.add(s.reason(), until)
		}
	}
	if why, until, ok := m.e.c.Responders.Muted(m.at, a.Labels); ok {
		if !until.After(m.at) {
			until = m.at.Add(time.Minute) // whoever cannot tell is asked again
		}
		by.windows = append(by.windows, why)
		by.add(why, until)
	}
	if by.any() && !all {
		return by, nil
	}
	for _, r := range m.rules {
		source, err := m.inhibitor(r, a)
		if err != nil {
			return by, err
		}
		if source != "" {
			by.inhibitors = append(by.inhibitors, source)
			by.add("inhibited: "+r.Name, time.Time{})
		}
	}
	return by, nil
}

// inhibitor returns the fingerprint of an alert that inhibits a by a rule, ""
// for none.
func (m *muter) inhibitor(r inhibition, a alert.Alert) (string, error) {
	if !r.Target.Matches(a.Labels) {
		return "", nil
	}
	least, both := alert.Info, r.Source.Matches(a.Labels)
	if r.NotAbove {
		least = a.Level()
	}
	key := r.key(a.Labels)
	memo := fmt.Sprintf("%s/%s/%t", key, least, both)
	if source, ok := m.found[memo]; ok {
		return source, nil
	}
	var source string
	fp, ok, err := m.tx.Inhibitor(key, least, both)
	if err != nil {
		return "", fmt.Errorf("look for what inhibits %s: %w", a.Labels, err)
	}
	if ok {
		source = fp.String()
	}
	if m.found == nil {
		m.found = map[string]string{}
	}
	m.found[memo] = source
	return source, nil
}

// quieting is what the engine knows of silences and inhibitions in memory.
type quieting struct {
	silences silenceCache
	rules    atomic.Pointer[[]inhibition]
}

func (q *quieting) inhibitions() []inhibition {
	if rules := q.rules.Load(); rules != nil {
		return *rules
	}
	return nil
}

// silenceCache holds the silences of one state of the store that were not
// over, with their expressions compiled. The store bounds them.
type silenceCache struct {
	mu      sync.Mutex
	version string
	known   []*knownSilence
}

// silencesVersion is the mark that changes with every change of a silence.
const silencesVersion = "silences"

// load returns the silences of the transaction's state.
func (c *silenceCache) load(tx Tx, at time.Time) ([]*knownSilence, error) {
	version, err := tx.Mark(silencesVersion)
	if err != nil || version == "" {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if version == c.version {
		return c.known, nil
	}
	silences, err := tx.Silences(at)
	if err != nil {
		return nil, err
	}
	c.version, c.known = version, make([]*knownSilence, len(silences))
	for i, s := range silences {
		c.known[i] = &knownSilence{Silence: s}
	}
	return c.known, nil
}

// knownSilence is a silence with what it said last.
type knownSilence struct {
	silence.Silence

	mu    sync.Mutex
	asked time.Time
	until time.Time
	ok    bool
}

// mutes tells whether it silences alerts with these labels at an instant.
func (s *knownSilence) mutes(labels model.LabelSet, at time.Time) (until time.Time, ok bool) {
	if s.State(at) != silence.Active || !s.Matches(labels) {
		return time.Time{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asked.Equal(at) {
		s.asked = at
		s.until, s.ok = s.Covers(at)
	}
	return s.until, s.ok
}

// maxReason bounds what is shown of a silence's comment, in bytes.
const maxReason = 120

func (s *knownSilence) reason() string {
	text := "silenced by " + s.CreatedBy
	if s.Comment != "" {
		text += ": " + cut(s.Comment, maxReason)
	}
	return text
}
