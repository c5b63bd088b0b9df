package incident_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
)

// world is what fires and who is silenced, kept in the simplest way: every
// question goes through all of it.
type world struct {
	t   *testing.T
	rnd *rand.Rand

	mu       sync.Mutex
	rules    []incident.InhibitRule
	firing   map[model.Fingerprint]alert.Alert
	silences map[string]silence.Silence
}

// TestMutingAgreesWithBruteForce lets random alerts, silences and rules meet,
// and compares what the engine says of each alert, and whom it pages, with
// what the documentation of Alertmanager says.
func TestMutingAgreesWithBruteForce(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := &world{
				t: t, rnd: rand.New(rand.NewPCG(seed, 7)),
				firing: map[model.Fingerprint]alert.Alert{}, silences: map[string]silence.Silence{},
			}
			for i := range 1 + w.rnd.IntN(4) {
				w.rules = append(w.rules, incident.InhibitRule{
					Name: fmt.Sprint("rule ", i), Source: w.matchers(), Target: w.matchers(),
					Equal: w.some("cluster", "grp"), NotAbove: w.rnd.IntN(2) == 0,
				})
			}
			w.play()
		})
	}
}

func (w *world) play() {
	s := newTimeline(w.t)
	s.config.Inhibit, s.config.ReopenWithin = w.rules, -1
	s.rota.route = func(model.LabelSet) incident.Route {
		return incident.Route{Policy: "p", GroupBy: []string{"alertname"}}
	}
	s.config.Sender = w
	const steps = 50
	for i := range steps {
		at := At(1 + i)
		s.Do(at, "step", func(ctx context.Context, e *incident.Engine) error { return w.step(ctx, e) })
		s.Do(at+0.2, "compare", func(ctx context.Context, e *incident.Engine) error { return w.compare(ctx, e) })
	}
	s.Run(steps + 1)
}

// Send is the provider: nobody may be told of an incident while all that fires
// of it is muted.
func (w *world) Send(_ context.Context, p page.Page) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Kind != page.Resolved && w.quiet(p.Incident) {
		w.t.Errorf("page %s of %s while it is muted", p.Kind, p.Incident.Key)
	}
	return "", nil
}

// Edits tells that no message can be changed.
func (w *world) Edits(string) bool { return false }

// step does something at random.
func (w *world) step(ctx context.Context, e *incident.Engine) error {
	at := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	switch w.rnd.IntN(6) {
	case 0, 1, 2:
		a := w.alert(at)
		w.firing[a.Fingerprint()] = a
		return e.Receive(ctx, []alert.Alert{a})
	case 3:
		if len(w.firing) == 0 {
			return nil
		}
		fps := slices.Sorted(maps.Keys(w.firing))
		a := w.firing[fps[w.rnd.IntN(len(fps))]]
		delete(w.firing, a.Fingerprint())
		a.State, a.EndsAt = alert.Resolved, at
		return e.Receive(ctx, []alert.Alert{a})
	case 4:
		s := silence.Silence{
			Matchers: w.matchers(), CreatedBy: "li",
			StartsAt: at.Add(time.Duration(w.rnd.IntN(3)) * 90 * time.Second),
		}
		s.EndsAt = s.StartsAt.Add(time.Duration(1+w.rnd.IntN(600)) * time.Second)
		id, err := e.SaveSilence(ctx, s, "li")
		w.silences[id] = s
		return err
	default:
		if len(w.silences) == 0 {
			return nil
		}
		ids := slices.Sorted(maps.Keys(w.silences))
		id := ids[w.rnd.IntN(len(ids))]
		delete(w.silences, id)
		return e.ExpireSilence(ctx, id, "li")
	}
}

func (w *world) alert(at time.Time) alert.Alert {
	a := alert.Alert{
		Labels: model.LabelSet{"service": "s"}, State: alert.Firing, StartsAt: at.UTC().Truncate(time.Millisecond), EndsAt: at.Add(24 * time.Hour),
	}
	for name, values := range map[string][]string{"alertname": {"A", "B"}, "cluster": {"", "x", "y"}, "grp": {"", "1", "2"}, "severity": {"P1", "P2"}} {
		if v := values[w.rnd.IntN(len(values))]; v != "" {
			a.Labels[model.LabelName(name)] = model.LabelValue(v)
		}
	}
	return a
}

// matchers returns one or two that do not match everything.
func (w *world) matchers() labels.Matchers {
	choices := []string{
		`alertname="A"`, `alertname=~"A|B"`, `cluster="x"`, `cluster!="",grp="1"`, `cluster="",service="s"`,
		`severity="P1"`, `grp=~".+"`, `grp!~"1|2",alertname="B"`, `severity!="P1",cluster="y"`,
	}
	return match(w.t, strings.Split(choices[w.rnd.IntN(len(choices))], ",")...)
}

func (w *world) some(names ...string) []string {
	return slices.DeleteFunc(names, func(string) bool { return w.rnd.IntN(2) == 0 })
}

// silencedBy goes through all silences.
func (w *world) silencedBy(a alert.Alert, at time.Time) (ids []string) {
	for id, s := range w.silences {
		if !at.Before(s.StartsAt) && at.Before(s.EndsAt) && s.Matchers.Matches(a.Labels) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// inhibits tells whether a source inhibits a target by any rule.
func (w *world) inhibits(source, target alert.Alert) bool {
	return slices.ContainsFunc(w.rules, func(r incident.InhibitRule) bool {
		if !r.Source.Matches(source.Labels) || !r.Target.Matches(target.Labels) {
			return false
		}
		if r.Source.Matches(target.Labels) && r.Target.Matches(source.Labels) {
			return false // both match both sides
		}
		if r.NotAbove && target.Level() < source.Level() {
			return false
		}
		return !slices.ContainsFunc(r.Equal, func(name string) bool { return source.Label(name) != target.Label(name) })
	})
}

func (w *world) inhibited(a alert.Alert) bool {
	for _, source := range w.firing {
		if w.inhibits(source, a) {
			return true
		}
	}
	return false
}

// quiet tells whether all that fires of an incident is muted.
func (w *world) quiet(inc alert.Incident) bool {
	n := 0
	for _, a := range w.firing {
		if inc.Key != "/alertname="+a.Label("alertname") {
			continue
		}
		if n++; len(w.silencedBy(a, time.Now())) == 0 && !w.inhibited(a) {
			return false
		}
	}
	return n > 0
}

func (w *world) compare(ctx context.Context, e *incident.Engine) error {
	list, err := e.Alerts(ctx)
	if err != nil {
		return err
	}
	if len(list) != len(w.firing) {
		w.t.Errorf("%d alerts, want %d", len(list), len(w.firing))
	}
	for _, a := range list {
		slices.Sort(a.SilencedBy)
		if want := w.silencedBy(a.Alert, time.Now()); !slices.Equal(a.SilencedBy, want) {
			w.t.Errorf("%s is silenced by %v, want %v", a.Labels, a.SilencedBy, want)
		}
		if want := w.inhibited(a.Alert); want != (len(a.InhibitedBy) > 0) {
			w.t.Errorf("%s is inhibited by %v, want %t", a.Labels, a.InhibitedBy, want)
		}
		for _, text := range a.InhibitedBy {
			fp, err := model.FingerprintFromString(text)
			if source, ok := w.firing[fp]; err != nil || !ok || !w.inhibits(source, a.Alert) {
				w.t.Errorf("%s is inhibited by %s, which is %v", a.Labels, text, source.Labels)
			}
		}
	}
	return w.unpaged(ctx, e)
}

// unpaged looks for incidents that nobody was told of, and that are not muted.
func (w *world) unpaged(ctx context.Context, e *incident.Engine) error {
	open, err := e.List(ctx, false)
	for _, inc := range open {
		if inc.Round == 0 && !w.quiet(inc) {
			w.t.Errorf("nobody was told of %s, which is muted by %q", inc.Key, inc.Muted)
		}
	}
	return err
}
