package slack

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Desk does what a button asks.
type Desk interface {
	Acknowledge(ctx context.Context, incident int64, actor string) error
	Escalate(ctx context.Context, incident int64, actor string) error // on to the next step now
	Resolve(ctx context.Context, incident int64, actor string) error
	Snooze(ctx context.Context, incident int64, until time.Time, actor string) error
}

// People knows who is who.
type People interface {
	// Person returns whose contact an address of a channel is, as the actor of
	// what that person does; ok is false when it is nobody's. It is asked with
	// Slack's id and with the email address that Slack knows.
	Person(channel, address string) (name string, ok bool)
}

// front is who does what people ask, and knows who they are.
type front struct {
	desk   Desk
	people People // may be nil
}

func (f front) person(channel, address string) (name string, ok bool) {
	if f.people == nil || address == "" {
		return "", false
	}
	return f.people.Person(channel, address)
}

// Board answers the commands that ask. A Desk that is one too has them.
type Board interface {
	// Incidents returns what is not resolved, newest first.
	Incidents(ctx context.Context) ([]alert.Incident, error)
	// OnCall returns who is on call now.
	OnCall(ctx context.Context) ([]Duty, error)
}

// Duty is somebody's being on call.
type Duty struct {
	Schedule string
	User     string    // as a reader would write it; "" for nobody
	Until    time.Time // zero for no end in sight
}

// Refused is an error of a Desk whose words are for who pressed the button,
// such as "incident 12 is resolved already". Others are kept from people.
type Refused struct{ Words string }

// Error returns the words.
func (r *Refused) Error() string { return r.Words }

// The verbs of buttons and commands.
const (
	acknowledge = "ack"
	escalate    = "escalate"
	resolve     = "resolve"
	snooze      = "snooze"
)

// actionID names a control: what it does, to which incident.
func actionID(verb string, incident int64) string {
	return verb + ":" + strconv.FormatInt(incident, 10)
}

// act is one thing that somebody asks for.
type act struct {
	verb     string
	incident int64
	length   time.Duration // of a snooze
}

// parseAct reads the name of a control and the option chosen; ok is false for
// controls that do nothing here, such as links.
func parseAct(id, option string) (a act, ok bool) {
	verb, number, _ := strings.Cut(id, ":")
	incident, err := strconv.ParseInt(number, 10, 64)
	if err != nil || incident <= 0 {
		return act{}, false
	}
	a = act{verb: verb, incident: incident}
	switch verb {
	case acknowledge, escalate, resolve:
		return a, true
	case snooze:
		a.length, err = time.ParseDuration(option)
		return a, err == nil && a.length >= minSnooze && a.length <= maxSnooze
	}
	return act{}, false
}

// The bounds of a snooze.
const (
	minSnooze = time.Minute
	maxSnooze = 7 * 24 * time.Hour
)

// person is somebody in Slack, by what Slack says of them.
type person struct{ id, name string }

// do does what is asked, and returns what to say of it.
func (n *Notifier) do(ctx context.Context, f front, a act, by person) (said string, err error) {
	ctx = alert.WithVia(ctx, "chat")
	actor := n.actor(ctx, f, by)
	switch a.verb {
	case acknowledge:
		said, err = "Acknowledged", f.desk.Acknowledge(ctx, a.incident, actor)
	case escalate:
		said, err = "Escalated", f.desk.Escalate(ctx, a.incident, actor)
	case resolve:
		said, err = "Resolved", f.desk.Resolve(ctx, a.incident, actor)
	case snooze:
		said, err = "Snoozed", f.desk.Snooze(ctx, a.incident, n.config.Now().Add(a.length), actor)
	}
	log := n.config.Logger.With("channel", n.config.Name, "action", a.verb, "incident", a.incident, "slack_user", by.id, "actor", actor)
	if err != nil {
		log.WarnContext(ctx, "button pressed in vain", "error", err)
		return "", fmt.Errorf("%s incident %d: %w", a.verb, a.incident, err)
	}
	log.InfoContext(ctx, "button pressed")
	return fmt.Sprintf("%s: incident %d.", said, a.incident), nil
}

// words returns what may be told of an error.
func words(err error) string {
	if r, ok := errors.AsType[*Refused](err); ok {
		return "That did not work: " + clean(r.Words, 300) + "."
	}
	return "That did not work, for a reason that is in Midwatch's log. Please use the incident's page."
}

// actor names who presses a button: as the on-call files do, else as Slack
// does.
func (n *Notifier) actor(ctx context.Context, f front, by person) string {
	if name, ok := f.person(n.config.Name, by.id); ok {
		return name
	}
	known, ok := get(n.memory, n.memory.profiles, by.id)
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		var err error
		if known, err = n.api.profile(ctx, by.id); err != nil {
			return inSlack(by.name, by.id) // asked again next time
		}
		put(n.memory, n.memory.profiles, by.id, known)
	}
	if name, ok := f.person(n.config.Name, known.email); ok {
		return name
	}
	return inSlack(known.name, by.name, by.id)
}

// inSlack returns the first of the names that says something.
func inSlack(names ...string) string {
	for _, name := range names {
		if name = clean(name, 40); name != "" {
			return name + " (Slack)"
		}
	}
	return "somebody (Slack)"
}
