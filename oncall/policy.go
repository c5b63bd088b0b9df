package oncall

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// How long a step waits whose file says nothing, and how often a policy
// begins again.
const (
	waitP1        = 5 * time.Minute
	waitP2        = 15 * time.Minute
	defaultRepeat = 1
)

// policy is whom to page, one step after the other.
type policy struct {
	place      place
	name       string
	steps      []policyStep
	repeat     int // how often it begins again; at P1 it does so until somebody acknowledges
	ackTimeout time.Duration
	lastResort []target // told when nobody else can be, and when nobody acknowledges
	alone      bool     // it is a schedule alone
	usual      hours    // of a policy without a schedule
}

type policyStep struct {
	targets []target
	wait    time.Duration // 0: the level's
	levels  []alert.Level // none: all
	hours   string        // one of working, off; "" is always
	tiers   []string      // none: all
}

// targetKind is what a target names.
type targetKind uint8

const (
	toSchedule targetKind = iota + 1
	toUser
	toTeam
	toChannel
	toRoundRobin
)

// target is somebody to page.
type target struct {
	kind    targetKind
	name    string       // of a schedule, user or team
	members []string     // of a round robin over a list
	contact page.Contact // of a channel
}

// String returns a target as the story of an incident names it.
func (t target) String() string {
	switch t.kind {
	case toTeam:
		return "team " + t.name
	case toChannel:
		return t.contact.FullName
	case toRoundRobin:
		if t.name != "" {
			return "one of team " + t.name
		}
		return "one of " + strings.Join(t.members, ", ")
	default:
		return t.name
	}
}

func describe(targets []target) string {
	names := make([]string, len(targets))
	for i, t := range targets {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}

// targets returns the targets of all steps and of the last resort.
func (p *policy) targets() []target {
	var all []target
	for _, s := range p.steps {
		all = append(all, s.targets...)
	}
	return append(all, p.lastResort...)
}

// StepRequest asks for a step of an incident's escalation.
type StepRequest struct {
	Policy     string            // "" or unknown: that of the labels
	Labels     map[string]string // that routes match
	Step       int               // from 0; one that the policy does not have is 0
	Cycle      int               // from 0
	Level      alert.Level
	Tiers      []string // of the incident's alerts
	Assigned   []string // users who are paged instead of the policy's
	Responders []string // users who are paged besides
	Incident   int64    // its number, by which a round robin chooses
}

// StepPlan is one step of an escalation policy.
type StepPlan struct {
	Notices    []Notice      // whom to page
	Wait       time.Duration // after which the next step is due unless somebody acknowledges; 0: nothing follows
	Step       int           // of the next one
	Cycle      int           // of the next one
	Skipped    []string      // steps that had nobody on call, such as "step 1: payments"
	Name       string        // such as "step 2: payments-second"
	AckTimeout time.Duration // after an acknowledgement escalation resumes; 0: never
}

// Step returns the step that begins at an instant: the first one from that
// of the request on whose conditions hold and that has somebody. The last
// resort follows the last step when the policy does not begin again, and
// comes at once when no step has anybody. There is always somebody.
func (r *Roster) Step(at time.Time, q StepRequest) StepPlan {
	e := escalation{r: r, p: r.policyOf(q), q: q, at: at}
	e.q.Cycle = max(q.Cycle, 0)
	var plan StepPlan
	if assigned := r.known(q.Assigned); len(assigned) > 0 {
		plan = e.assigned(assigned)
	} else {
		plan = e.plan()
	}
	plan.AckTimeout = e.p.ackTimeout
	for _, t := range r.known(q.Responders) {
		plan.Notices = append(plan.Notices, e.notices(t, 0)...)
	}
	plan.Notices = once(plan.Notices)
	return plan
}

func (r *Roster) policyOf(q StepRequest) *policy {
	if p, ok := r.policies[q.Policy]; ok {
		return p
	}
	return r.policies[r.Route(q.Labels).Policy]
}

// known returns those users who exist.
func (r *Roster) known(names []string) []target {
	var all []target
	for _, name := range names {
		if _, ok := r.users[name]; ok {
			all = append(all, target{kind: toUser, name: name})
		}
	}
	return all
}

// once drops pages to an address that is paged already, keeping the soonest.
func once(notices []Notice) []Notice {
	kept := notices[:0]
	for _, n := range notices {
		i := slices.IndexFunc(kept, func(k Notice) bool { return k.To.Channel == n.To.Channel && k.To.Address == n.To.Address })
		switch {
		case i < 0:
			kept = append(kept, n)
		case n.After < kept[i].After:
			kept[i].After = n.After
		}
	}
	return kept
}

// escalation is one request on its way to an answer.
type escalation struct {
	r       *Roster
	p       *policy
	q       StepRequest
	at      time.Time
	skipped []string
}

// assigned is the plan for an incident that is some people's: they are paged
// as often as the policy has cycles, then the last resort too.
func (e *escalation) assigned(to []target) StepPlan {
	p := StepPlan{Name: "assigned: " + describe(to), Cycle: e.q.Cycle + 1}
	for _, t := range to {
		p.Notices = append(p.Notices, e.notices(t, 0)...)
	}
	cycles := e.p.repeat
	if len(e.p.lastResort) > 0 {
		cycles++
		if e.q.Cycle >= cycles {
			p.Notices = append(p.Notices, e.resort()...)
			p.Name += "; last resort: " + describe(e.p.lastResort)
		}
	}
	if e.q.Cycle < cycles || e.q.Level == alert.P1 {
		p.Wait = e.wait(len(e.p.steps))
	}
	return p
}

// plan finds the first step that has somebody. The last resort is the step
// after the last.
func (e *escalation) plan() StepPlan {
	step, cycle := e.q.Step, e.q.Cycle
	if step < 0 || step > len(e.p.steps) {
		step = 0
	}
	for range 2 * (len(e.p.steps) + 1) {
		switch {
		case step < len(e.p.steps):
			if notices := e.page(step, cycle); len(notices) > 0 {
				return e.found(step, cycle, notices)
			}
			step++
		case e.last(cycle):
			return e.found(step, cycle, e.resort())
		default:
			step, cycle = 0, cycle+1
		}
	}
	return e.found(len(e.p.steps), e.q.Cycle, e.resort())
}

// last tells whether the last resort follows the steps of a cycle.
func (e *escalation) last(cycle int) bool { return cycle >= e.p.repeat && len(e.p.lastResort) > 0 }

// page returns the pages of a step, none when its conditions do not hold or
// nobody is on call.
func (e *escalation) page(step, cycle int) []Notice {
	s := e.p.steps[step]
	if !e.holds(s) {
		return nil
	}
	var all []Notice
	for _, t := range s.targets {
		all = append(all, e.notices(t, step+cycle)...)
	}
	if name := fmt.Sprintf("step %d: %s", step+1, describe(s.targets)); len(all) == 0 && !slices.Contains(e.skipped, name) {
		e.skipped = append(e.skipped, name)
	}
	return all
}

func (e *escalation) holds(s policyStep) bool {
	level := len(s.levels) == 0 || slices.Contains(s.levels, e.q.Level)
	tier := len(s.tiers) == 0 || slices.ContainsFunc(e.q.Tiers, func(t string) bool { return slices.Contains(s.tiers, t) })
	if !level || !tier || s.hours == "" {
		return level && tier
	}
	return e.r.hoursOf(e.p, s.targets).in(e.at) == (s.hours == "working")
}

// notices returns the pages of a target; a round robin goes on by one each
// turn.
func (e *escalation) notices(t target, turn int) (all []Notice) {
	var names []string
	zone := e.zone()
	switch t.kind {
	case toSchedule:
		s := e.r.schedules[t.name]
		zone = s.loc.String()
		if p := s.at(e.at); p.user != "" {
			names = []string{p.user}
		}
	case toUser:
		names = []string{t.name}
	case toTeam:
		names = e.r.teams[t.name]
	case toChannel:
		to := t.contact
		if to.Timezone == "" {
			to.Timezone = zone
		}
		return []Notice{{To: to}}
	case toRoundRobin:
		members := t.members
		if t.name != "" {
			members = e.r.teams[t.name]
		}
		n := int64(len(members))
		names = []string{members[((e.q.Incident+int64(turn))%n+n)%n]}
	}
	for _, name := range names {
		all = append(all, e.r.users[name].notices(name, zone, e.q.Level)...)
	}
	return all
}

// zone is the time zone for those who have none.
func (e *escalation) zone() string {
	if s := e.r.scheduleOf(e.p, nil); s != nil {
		return s.loc.String()
	}
	return ""
}

// resort returns the pages of the last resort: without one, those to whoever
// comes next in the policy's schedules, else to the first person in them.
func (e *escalation) resort() (all []Notice) {
	for i, t := range e.p.lastResort {
		all = append(all, e.notices(t, i)...)
	}
	for _, t := range e.p.targets() {
		if len(all) > 0 || t.kind != toSchedule {
			continue
		}
		s := e.r.schedules[t.name]
		name := s.next(e.at)
		if name == "" && len(s.people) > 0 {
			name = s.people[0]
		}
		if name == "" { // it has calendars alone; a policy of such schedules has a last resort
			continue
		}
		all = e.r.users[name].notices(name, s.loc.String(), e.q.Level)
	}
	return all
}

// found completes the plan for a step that has somebody.
func (e *escalation) found(step, cycle int, notices []Notice) StepPlan {
	p := StepPlan{Notices: notices, Skipped: e.skipped, Name: e.name(step)}
	if cycle > 0 && step < len(e.p.steps) {
		p.Name += ", again"
	}
	p.Step, p.Cycle = step+1, cycle
	follows := true
	if p.Step > len(e.p.steps) || p.Step == len(e.p.steps) && !e.last(cycle) {
		p.Step, p.Cycle = 0, cycle+1
		follows = cycle < e.p.repeat || e.q.Level == alert.P1
	}
	if follows {
		p.Wait = e.wait(step)
	}
	return p
}

func (e *escalation) name(step int) string {
	switch {
	case step < len(e.p.steps):
		return fmt.Sprintf("step %d: %s", step+1, describe(e.p.steps[step].targets))
	case len(e.p.lastResort) > 0:
		return "last resort: " + describe(e.p.lastResort)
	}
	return "nobody is on call: who comes next"
}

// wait returns how long a step waits: without a word of the file, a level
// below P2 does not go on.
func (e *escalation) wait(step int) time.Duration {
	if step < len(e.p.steps) && e.p.steps[step].wait > 0 {
		return e.p.steps[step].wait
	}
	switch e.q.Level {
	case alert.P1:
		return waitP1
	case alert.P2:
		return waitP2
	default:
		return 0
	}
}

// scheduleOf returns the first schedule among targets, else of a policy; nil
// when there is none.
func (r *Roster) scheduleOf(p *policy, targets []target) *schedule {
	for _, some := range [][]target{targets, p.targets()} {
		for _, t := range some {
			if t.kind == toSchedule {
				return r.schedules[t.name]
			}
		}
	}
	return nil
}

// hoursOf returns the working hours of the first schedule among targets, else
// of a policy, else the usual ones of the first person's clock.
func (r *Roster) hoursOf(p *policy, targets []target) hours {
	if s := r.scheduleOf(p, targets); s != nil {
		return s.hours
	}
	return p.usual
}

// WorkingTimeOf returns at itself when it is within the working hours of the
// policy of a request, else when they next begin. They are those of the
// policy's first schedule, else Monday to Friday, 09:00 to 18:00.
func (r *Roster) WorkingTimeOf(at time.Time, q StepRequest) time.Time {
	return r.hoursOf(r.policyOf(q), nil).next(at)
}

// Policy is an escalation policy as a reader sees it.
type Policy struct {
	Name       string
	Steps      []string // whom each pages
	Repeat     int      // how often it begins again; at P1 until somebody acknowledges
	AckTimeout time.Duration
	LastResort string // "" when whoever comes next in its schedules is
}

// Policies returns the policies of the files, in their order, and then those
// that are a schedule alone, which are called schedule:NAME.
func (r *Roster) Policies() []Policy {
	names := slices.Clone(r.policyOrder)
	for _, s := range r.order {
		if _, ok := r.policies[alonePrefix+s]; ok {
			names = append(names, alonePrefix+s)
		}
	}
	all := make([]Policy, len(names))
	for i, name := range names {
		p := r.policies[name]
		all[i] = Policy{Name: name, Repeat: p.repeat, AckTimeout: p.ackTimeout, LastResort: describe(p.lastResort)}
		for _, s := range p.steps {
			all[i].Steps = append(all[i].Steps, describe(s.targets))
		}
	}
	return all
}
