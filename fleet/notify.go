package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/rules"

	"github.com/midwatch-slo/midwatch/alert"
)

const (
	// AnnotationIncomplete names, on an alert, the clusters whose data was
	// missing when it was evaluated.
	AnnotationIncomplete = "incomplete"

	annotationDescription = "description"

	deliverTimeout = 30 * time.Second
	firstRetry     = time.Second
	lastRetry      = 30 * time.Second
	lastCallWithin = 5 * time.Second
	maxWaiting     = 50_000 // alerts
	batch          = 500
)

// letter is an alert on its way.
type letter struct {
	alert alert.Alert
	seq   uint64
}

// post holds alerts until they are taken in: of each label set the newest
// that is said of it.
type post struct {
	due chan struct{}

	mu       sync.Mutex
	seq      uint64
	byLabels map[model.Fingerprint]letter
}

// put adds alerts, and tells whether one had no room.
func (p *post) put(alerts []alert.Alert) (full bool) {
	p.mu.Lock()
	for _, a := range alerts {
		fp := a.Fingerprint()
		if _, known := p.byLabels[fp]; !known && len(p.byLabels) >= maxWaiting {
			full = true
			continue
		}
		p.seq++
		p.byLabels[fp] = letter{alert: a, seq: p.seq}
	}
	p.mu.Unlock()
	select {
	case p.due <- struct{}{}:
	default: // it is looked already
	}
	return full
}

// next returns the oldest alerts that wait.
func (p *post) next() []letter {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.SortedFunc(maps.Values(p.byLabels), func(a, b letter) int { return int(int64(a.seq) - int64(b.seq)) }) //nolint:gosec // a difference of counts
	return all[:min(len(all), batch)]
}

// done forgets what was taken in, unless something newer is said of it since.
func (p *post) done(taken []letter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range taken {
		if fp := l.alert.Fingerprint(); p.byLabels[fp].seq == l.seq {
			delete(p.byLabels, fp)
		}
	}
}

func (p *post) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.byLabels)
}

func (p *post) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byLabels)
}

// send has alerts delivered, when this replica leads.
func (f *Fleet) send(alerts ...alert.Alert) {
	if len(alerts) == 0 || !f.leads.Load() {
		return
	}
	if f.post.put(alerts) {
		f.log.Error("alerts of the fleet are dropped: too many wait to be taken in", "waiting", maxWaiting)
	}
	f.metrics.waiting.Set(float64(f.post.len()))
}

// carry delivers alerts until ctx ends.
func (f *Fleet) carry(ctx context.Context) {
	wait := firstRetry
	for {
		err := f.deliver(ctx)
		if err == nil {
			wait = firstRetry
			select {
			case <-ctx.Done():
				return
			case <-f.post.due:
			}
			continue
		}
		f.log.WarnContext(ctx, "alerts of the fleet are not taken in yet", "waiting", f.post.len(), "again_in", wait, "err", err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
		wait = min(2*wait, lastRetry)
	}
}

// deliver delivers all that waits.
func (f *Fleet) deliver(ctx context.Context) error {
	for {
		letters := f.post.next()
		f.metrics.waiting.Set(float64(f.post.len()))
		if len(letters) == 0 {
			return nil
		}
		alerts := make([]alert.Alert, len(letters))
		for i, l := range letters {
			alerts[i] = l.alert
		}
		if err := f.handOver(ctx, alerts); err != nil {
			f.metrics.refused.Inc()
			return err
		}
		f.metrics.delivered.Add(float64(len(alerts)))
		f.post.done(letters)
	}
}

func (f *Fleet) handOver(ctx context.Context, alerts []alert.Alert) error {
	ctx, cancel := context.WithTimeout(ctx, deliverTimeout)
	defer cancel()
	return f.c.Deliver(ctx, alerts)
}

// lastCall delivers what waits when the fleet ends.
func (f *Fleet) lastCall(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastCallWithin)
	defer cancel()
	if err := f.deliver(ctx); err != nil {
		f.log.WarnContext(ctx, "alerts of the fleet are not taken in; they are evaluated again after the next start", "waiting", f.post.len(), "err", err)
	}
}

// notify takes alerts of the rule manager.
func (f *Fleet) notify(_ context.Context, expr string, alerts ...*rules.Alert) {
	out := make([]alert.Alert, 0, len(alerts))
	for _, a := range alerts {
		out = append(out, f.letterOf(expr, a))
	}
	f.send(out...)
}

func (f *Fleet) letterOf(expr string, a *rules.Alert) alert.Alert {
	out := alert.Alert{
		Labels: labelSet(a.Labels), Annotations: labelSet(a.Annotations),
		StartsAt: a.FiredAt.UTC(), EndsAt: a.ValidUntil.UTC(), UpdatedAt: time.Now().UTC(), State: alert.Firing,
	}
	if !a.ResolvedAt.IsZero() {
		out.State, out.EndsAt = alert.Resolved, a.ResolvedAt.UTC()
		return out
	}
	if text, missing := f.remark(expr, a.Labels); text != "" {
		description := strings.TrimSpace(string(out.Annotations[annotationDescription]) + " " + text)
		out.Annotations[annotationDescription] = model.LabelValue(description)
		out.Annotations[AnnotationIncomplete] = model.LabelValue(strings.Join(missing.names(), ", "))
	}
	return out
}

func labelSet(set labels.Labels) model.LabelSet {
	out := model.LabelSet{}
	set.Range(func(l labels.Label) { out[model.LabelName(l.Name)] = model.LabelValue(l.Value) })
	return out
}

// remark says what an alert was evaluated without, "" when nothing was missing.
// It asks nothing of the rule manager, which may be waiting for who notifies.
func (f *Fleet) remark(expr string, set labels.Labels) (string, Missing) {
	f.standings.mu.Lock()
	defer f.standings.mu.Unlock()
	for _, s := range f.standings.byRule {
		d := s.rule
		if d.Query != expr || d.Name != set.Get(labels.AlertName) || !carries(set, d.Labels) {
			continue
		}
		if len(s.missing) == 0 {
			return "", nil
		}
		text := fmt.Sprintf("Data is missing: %s.", f.absences.since(s.missing))
		switch {
		case s.held[identity(set, d)]:
			text += " It fired before and goes on: nothing says that it is over."
		case s.part:
			text += " It fires by the data that there is."
		case len(s.unknown) > 0:
			text += fmt.Sprintf(" It fires by the data of the other clusters; of %s it is not known how much there was.", strings.Join(s.unknown, ", "))
		default:
			text += " It fires by the data of the other clusters alone, even if there nothing fails."
		}
		return text, s.missing
	}
	return "", nil
}

// carries tells whether a set has all the labels of another.
func carries(set, of labels.Labels) bool {
	all := true
	of.Range(func(l labels.Label) { all = all && set.Get(l.Name) == l.Value })
	return all
}

// settle ends alerts that those who were delivered them hold to fire, and that
// no rule has any more: the end was not told, such as before a crash.
func (f *Fleet) settle(ctx context.Context, at time.Time) {
	if at.Sub(f.settledAt) < settleEvery {
		return
	}
	names, active := map[string]bool{}, map[model.Fingerprint]bool{}
	groups := f.manager.RuleGroups()
	for _, g := range groups {
		for _, r := range g.AlertingRules() {
			if !f.evaluated.settled(g.Name()) || f.lacking(r) {
				return // not all is known
			}
			names[r.Name()] = true
			r.ForEachActiveAlert(func(a *rules.Alert) { active[labelSet(a.Labels).Fingerprint()] = true })
		}
	}
	if len(groups) == 0 || f.post.len() > 0 {
		return
	}
	f.settledAt = at
	standing, err := f.c.Standing(ctx)
	if err != nil {
		f.log.WarnContext(ctx, "it is not known which alerts stand", "err", err)
		return
	}
	for _, a := range standing {
		if a.Label(labelScope) != scopeFleet || !names[a.Label(model.AlertNameLabel)] || active[a.Fingerprint()] {
			continue
		}
		a.State, a.EndsAt, a.UpdatedAt = alert.Resolved, at.UTC(), at.UTC()
		f.log.InfoContext(ctx, "an alert of the fleet is over, which was not told", "alert", a.Labels.String())
		f.send(a)
	}
}

// lacking tells whether data was missing when a rule was last evaluated.
func (f *Fleet) lacking(r *rules.AlertingRule) bool {
	f.standings.mu.Lock()
	defer f.standings.mu.Unlock()
	s, known := f.standings.byRule[standingKey(rules.NewRuleDetail(r))]
	return !known || len(s.missing) > 0
}
