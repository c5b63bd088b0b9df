package incident

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
)

// Bounds of silences.
const (
	maxSilences   = 10_000 // that are not over
	maxExpression = 2_000  // instructions of a regular expression: it is matched with every alert
	maxStatuses   = 20_000 // alerts that Alerts returns
)

// ErrSilence is a silence that is refused for what it says.
var ErrSilence = errors.New("invalid silence")

// Silences returns the silences that are not over for longer than five days,
// those changed last first.
func (e *Engine) Silences(ctx context.Context) (list []silence.Silence, err error) {
	err = e.read(ctx, func(tx Tx) error {
		list, err = tx.Silences(now().Add(-silenceKept))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list silences: %w", err)
	}
	return list, nil
}

// Silence returns the silence. The error is ErrNotFound (wrapped) or the
// store's.
func (e *Engine) Silence(ctx context.Context, id string) (s silence.Silence, err error) {
	err = e.read(ctx, func(tx Tx) error {
		s, err = getSilence(tx, id)
		return err
	})
	if err != nil {
		return silence.Silence{}, fmt.Errorf("get silence %s: %w", id, err)
	}
	return s, nil
}

func getSilence(tx Tx, id string) (silence.Silence, error) {
	s, ok, err := tx.Silence(id)
	if err == nil && !ok {
		err = ErrNotFound
	}
	return s, err
}

// SaveSilence keeps a silence and returns its ID: a new one when s has none.
// As with Alertmanager, a silence whose matchers change, whose start changes
// after it, or that is over already is replaced: it expires, and the one that
// is kept is a new one. What it mutes is muted at once, and what it no longer
// mutes is paged at once if it still burns. The error is ErrNotFound,
// ErrSilence or ErrActor (wrapped), or the store's.
func (e *Engine) SaveSilence(ctx context.Context, s silence.Silence, actor string) (id string, err error) {
	at := now()
	if s, err = completeSilence(s, at); err == nil {
		err = checkActor(actor)
	}
	if err != nil {
		return "", fmt.Errorf("save silence: %w", err)
	}
	err = e.c.Store.Update(ctx, func(tx Tx) error {
		kept, verb, err := replaceSilence(tx, s, at)
		if err != nil {
			return err
		}
		s = kept
		return e.silencesChanged(ctx, tx, at, actor, verb, s)
	})
	if err != nil {
		return "", fmt.Errorf("save silence: %w", err)
	}
	wake(e.escalate)
	e.hush(ctx, s)
	return s.ID, nil
}

// checkActor refuses whoever is not named.
func checkActor(actor string) error {
	if actor == "" || len(actor) > 200 || !utf8.ValidString(actor) {
		return ErrActor
	}
	return nil
}

// completeSilence fills in what may be left out and validates the rest.
func completeSilence(s silence.Silence, at time.Time) (silence.Silence, error) {
	s.StartsAt, s.EndsAt = s.StartsAt.UTC().Truncate(time.Millisecond), s.EndsAt.UTC().Truncate(time.Millisecond)
	if s.StartsAt.IsZero() {
		s.StartsAt = at
	}
	s.UpdatedAt = at
	if err := s.Validate(); err != nil {
		return s, fmt.Errorf("%w: %w", ErrSilence, err)
	}
	for _, m := range s.Matchers {
		if err := boundExpression(m); err != nil {
			return s, fmt.Errorf("%w: matcher of %q: %w", ErrSilence, cut(m.Name, 60), err)
		}
	}
	return s, nil
}

// boundExpression refuses a regular expression that takes long to match.
// Matching is linear in its size and that of the label's value.
func boundExpression(m *labels.Matcher) error {
	if m.Type != labels.MatchRegexp && m.Type != labels.MatchNotRegexp {
		return nil
	}
	parsed, err := syntax.Parse(m.Value, syntax.Perl)
	if err != nil {
		return err
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return err
	}
	if n := len(program.Inst); n > maxExpression {
		return fmt.Errorf("the regular expression has %d instructions, %d are allowed", n, maxExpression)
	}
	return nil
}

// replaceSilence keeps s, in the place of what has its ID where Alertmanager
// would, and says what it did.
func replaceSilence(tx Tx, s silence.Silence, at time.Time) (kept silence.Silence, verb string, err error) {
	verb = "create silence"
	if s.ID != "" {
		known, err := getSilence(tx, s.ID)
		if err != nil {
			return s, verb, err
		}
		if updatable(known, s, at) {
			return s, "change silence", tx.SaveSilence(s)
		}
		verb = "replace silence " + known.ID
		if err := expireSilence(tx, known, at); err != nil {
			return s, verb, err
		}
	}
	if s.StartsAt.Before(at) {
		s.StartsAt = at
	}
	if !s.EndsAt.After(s.StartsAt) {
		return s, verb, fmt.Errorf("%w: it would be over already", ErrSilence)
	}
	n, err := tx.CountSilences(at)
	if err == nil && n >= maxSilences {
		err = fmt.Errorf("%w: there are %d silences already", ErrSilence, n)
	}
	if err != nil {
		return s, verb, err
	}
	s.ID = newUUID()
	return s, verb, tx.SaveSilence(s)
}

// updatable tells whether a silence may be changed in its place.
func updatable(known, s silence.Silence, at time.Time) bool {
	if !sameMatchers(known.Matchers, s.Matchers) {
		return false
	}
	switch known.State(at) {
	case silence.Active:
		return known.StartsAt.Unix() == s.StartsAt.Unix() && !s.EndsAt.Before(at)
	case silence.Pending:
		return !s.StartsAt.Before(at)
	case silence.Expired:
	}
	return false
}

func sameMatchers(a, b labels.Matchers) bool {
	order := func(ms labels.Matchers) []string {
		texts := make([]string, len(ms))
		for i, m := range ms {
			texts[i] = m.String()
		}
		slices.Sort(texts)
		return texts
	}
	return slices.Equal(order(a), order(b))
}

// expireSilence ends a silence; one that has not begun never does.
func expireSilence(tx Tx, s silence.Silence, at time.Time) error {
	switch s.State(at) {
	case silence.Expired:
		return nil
	case silence.Pending:
		s.StartsAt = at
	case silence.Active:
	}
	s.EndsAt, s.UpdatedAt = at, at
	return tx.SaveSilence(s)
}

// ExpireSilence ends a silence. What it muted is paged at once if it still
// burns. To end one that is over changes nothing. The error is ErrNotFound or
// ErrActor (wrapped), or the store's.
func (e *Engine) ExpireSilence(ctx context.Context, id, actor string) error {
	at := now()
	err := checkActor(actor)
	if err == nil {
		err = e.c.Store.Update(ctx, func(tx Tx) error {
			s, err := getSilence(tx, id)
			if err != nil || s.State(at) == silence.Expired {
				return err
			}
			if err := expireSilence(tx, s, at); err != nil {
				return err
			}
			return e.silencesChanged(ctx, tx, at, actor, "expire silence", s)
		})
	}
	if err != nil {
		return fmt.Errorf("expire silence %s: %w", id, err)
	}
	wake(e.escalate)
	return nil
}

// silencesChanged does what every change of a silence needs.
func (e *Engine) silencesChanged(ctx context.Context, tx Tx, at time.Time, actor, verb string, s silence.Silence) error {
	if err := tx.SetMark(silencesVersion, newUUID()); err != nil {
		return err
	}
	if _, err := tx.WakeMuted(at); err != nil {
		return err
	}
	detail := fmt.Sprintf("%s from %s to %s: %s", s.Matchers, s.StartsAt.Format(time.RFC3339), s.EndsAt.Format(time.RFC3339), s.Comment)
	return tx.Audit(at, actor, alert.Via(ctx), verb, s.ID, cut(detail, 2000))
}

// newUUID returns a random UUID (RFC 9562, section 5.4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// hush looks at the incidents that a new silence may mute, so that their
// pages that wait are dropped, and their stories say so, at once. Without it
// each would be when its next page is due, so an error is only logged.
func (e *Engine) hush(ctx context.Context, s silence.Silence) {
	if s.State(now()) != silence.Active {
		return
	}
	concerned := map[int64]bool{}
	err := e.c.Store.View(ctx, func(tx Tx) error {
		return tx.EachLiveAlert(func(a alert.Alert) error {
			if !concerned[a.IncidentID] && s.Matches(a.Labels) {
				concerned[a.IncidentID] = true
			}
			return nil
		})
	})
	for part := range slices.Chunk(slices.Sorted(maps.Keys(concerned)), dueAtOnce) {
		if err == nil {
			err = e.c.Store.Update(ctx, func(tx Tx) error { return e.hushAll(tx, part, now()) })
		}
	}
	if err != nil {
		e.c.Logger.ErrorContext(ctx, "look for what a silence mutes", "silence", s.ID, "err", err)
	}
}

func (e *Engine) hushAll(tx Tx, ids []int64, at time.Time) error {
	for _, id := range ids {
		inc, ok, err := tx.Incident(id)
		if err != nil {
			return err
		}
		if !ok || inc.Status != alert.Open || inc.Muted != "" {
			continue
		}
		until, err := e.muteAndTell(tx, &inc, at)
		if err != nil {
			return err
		}
		if inc.Muted == "" {
			continue
		}
		if !inc.SnoozedUntil.After(at) { // else it is looked at when the snooze ends
			inc.NextPageAt = until
		}
		if err := takeBackMuted(tx, &inc, at); err != nil {
			return err
		}
		if err := tx.SaveIncident(inc); err != nil {
			return err
		}
	}
	return nil
}

// takeBackMuted drops the pages of a muted incident that wait, but not those
// to whom somebody asked for by hand.
func takeBackMuted(tx Tx, inc *alert.Incident, at time.Time) error {
	waiting, err := tx.Waiting(inc.ID, at)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if w.Kind == page.Called {
			continue
		}
		if err := tx.MarkDropped(w.Key, at, "muted before it was sent"); err != nil {
			return err
		}
	}
	return beginAnew(tx, inc)
}

// AlertStatus is an alert with what keeps it from paging.
type AlertStatus struct {
	alert.Alert

	SilencedBy  []string `json:"silenced_by,omitempty"`  // IDs of silences
	InhibitedBy []string `json:"inhibited_by,omitempty"` // fingerprints of alerts
	MutedBy     []string `json:"muted_by,omitempty"`     // why, by the configuration
	Policy      string   `json:"policy,omitempty"`       // the escalation policy that its labels lead to
}

// Alerts returns the alerts that fire or expired, up to 20,000 of them, those
// that end last first.
func (e *Engine) Alerts(ctx context.Context) (list []AlertStatus, err error) {
	at := now()
	err = e.read(ctx, func(tx Tx) error {
		m, err := e.newMuter(tx, at)
		if err != nil {
			return err
		}
		err = tx.EachLiveAlert(func(a alert.Alert) error {
			if len(list) == maxStatuses {
				return errEnough
			}
			by, err := m.of(a, true)
			list = append(list, AlertStatus{a, by.silences, by.inhibitors, by.windows, e.c.Responders.Route(a.Labels).Policy})
			return err
		})
		if errors.Is(err, errEnough) {
			err = nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	slices.SortFunc(list, func(a, b AlertStatus) int { return cmp.Or(b.EndsAt.Compare(a.EndsAt), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}

// errEnough ends a walk over alerts.
var errEnough = errors.New("enough")
