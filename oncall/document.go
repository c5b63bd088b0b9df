package oncall

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/alertmanager/timeinterval"
	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// document is one YAML document of kind OnCall as people write it.
type document struct {
	APIVersion      string            `yaml:"apiVersion"`
	Kind            string            `yaml:"kind"`
	Users           []userYAML        `yaml:"users"`
	Teams           []teamYAML        `yaml:"teams"`
	Schedules       []scheduleYAML    `yaml:"schedules"`
	Policies        []policyYAML      `yaml:"policies"`
	Routes          []routeYAML       `yaml:"routes"`
	DefaultSchedule string            `yaml:"default_schedule"`
	DefaultPolicy   string            `yaml:"default_policy"`
	Admins          string            `yaml:"admins"`
	TimeIntervals   []intervalsYAML   `yaml:"time_intervals"`
	Maintenance     []maintenanceYAML `yaml:"maintenance"`
}

type userYAML struct {
	Name     string                `yaml:"name"`
	FullName string                `yaml:"full_name"`
	Timezone string                `yaml:"timezone"`
	Language string                `yaml:"language"`
	Contacts []contactYAML         `yaml:"contacts"`
	Rules    map[string][]ruleYAML `yaml:"rules"`
}

type contactYAML struct {
	Channel string `yaml:"channel"`
	Address string `yaml:"address"`
}

type ruleYAML struct {
	Channel string `yaml:"channel"`
	Contact string `yaml:"contact"`
	After   string `yaml:"after"`
}

type teamYAML struct {
	Name    string   `yaml:"name"`
	Members []string `yaml:"members"`
}

type scheduleYAML struct {
	Name         string          `yaml:"name"`
	Timezone     string          `yaml:"timezone"`
	Holidays     *holidaysYAML   `yaml:"holidays"`
	Rotation     *rotationYAML   `yaml:"rotation"`
	Layers       []layerYAML     `yaml:"layers"`
	Temporary    []temporaryYAML `yaml:"temporary"`
	Overrides    []overrideYAML  `yaml:"overrides"`
	Swaps        []swapYAML      `yaml:"swaps"`
	WorkingHours windowYAML      `yaml:"working_hours"`
}

type holidaysYAML struct {
	Calendar string `yaml:"calendar"`
}

type rotationYAML struct {
	Handoff      string   `yaml:"handoff"`
	Start        string   `yaml:"start"`
	Shift        string   `yaml:"shift"`
	Participants []string `yaml:"participants"`
}

type layerYAML struct {
	Name         string        `yaml:"name"`
	Rotation     *rotationYAML `yaml:"rotation"`
	Calendar     *feedYAML     `yaml:"calendar"`
	Restrictions []windowYAML  `yaml:"restrictions"`
	From         string        `yaml:"from"`
	Until        string        `yaml:"until"`
}

type feedYAML struct {
	File     string        `yaml:"file"`
	URL      secret.Secret `yaml:"url"`
	URLFile  string        `yaml:"url_file"`
	Refresh  string        `yaml:"refresh"`
	Timezone string        `yaml:"timezone"`
	Match    string        `yaml:"match"`
}

type temporaryYAML struct {
	From     string        `yaml:"from"`
	Until    string        `yaml:"until"`
	Rotation *rotationYAML `yaml:"rotation"`
	Layers   []layerYAML   `yaml:"layers"`
}

type overrideYAML struct {
	User   string `yaml:"user"`
	From   string `yaml:"from"`
	Until  string `yaml:"until"`
	Reason string `yaml:"reason"`
}

type spanYAML struct {
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

type swapYAML struct {
	Between []string   `yaml:"between"`
	Shifts  []spanYAML `yaml:"shifts"`
}

type windowYAML struct {
	Days     string        `yaml:"days"`
	From     string        `yaml:"from"`
	Until    string        `yaml:"until"`
	Holidays *holidaysYAML `yaml:"holidays"`
}

type policyYAML struct {
	Name       string       `yaml:"name"`
	Steps      []stepYAML   `yaml:"steps"`
	Repeat     *int         `yaml:"repeat"`
	AckTimeout string       `yaml:"ack_timeout"`
	LastResort []targetYAML `yaml:"last_resort"`
}

type stepYAML struct {
	Targets []targetYAML `yaml:"targets"`
	Wait    string       `yaml:"wait"`
	Levels  []string     `yaml:"levels"`
	Hours   string       `yaml:"hours"`
	Tiers   []string     `yaml:"tiers"`
}

type targetYAML struct {
	Schedule   string    `yaml:"schedule"`
	User       string    `yaml:"user"`
	Team       string    `yaml:"team"`
	RoundRobin namesYAML `yaml:"round_robin"`
	Channel    string    `yaml:"channel"`
	Address    string    `yaml:"address"`
	FullName   string    `yaml:"full_name"`
	Timezone   string    `yaml:"timezone"`
	Language   string    `yaml:"language"`
}

// namesYAML is one name, of a team, or a list of names, of users.
type namesYAML struct {
	team  string
	users []string
	wrong bool
}

// UnmarshalYAML reads a name or a list of names. What is wrong is kept, so
// that the rest of the document is read.
func (n *namesYAML) UnmarshalYAML(node *yaml.Node) error {
	switch node.Kind {
	case yaml.ScalarNode:
		n.team = node.Value
	case yaml.SequenceNode:
		n.wrong = node.Decode(&n.users) != nil
	default:
		n.wrong = true
	}
	return nil
}

type routeYAML struct {
	Matchers            []string `yaml:"matchers"`
	Schedule            string   `yaml:"schedule"`
	Policy              string   `yaml:"policy"`
	GroupBy             []string `yaml:"group_by"`
	MuteTimeIntervals   []string `yaml:"mute_time_intervals"`
	ActiveTimeIntervals []string `yaml:"active_time_intervals"`
}

type intervalsYAML struct {
	Name          string         `yaml:"name"`
	TimeIntervals []intervalYAML `yaml:"time_intervals"`
}

// intervalYAML is a time interval as Alertmanager reads it, without keys that
// it would pass over.
type intervalYAML struct {
	timeinterval.TimeInterval
	err error
}

// UnmarshalYAML reads a time interval strictly. What is wrong is kept, so that
// the rest of the document is read.
func (i *intervalYAML) UnmarshalYAML(node *yaml.Node) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		i.err = err
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&i.TimeInterval); err != nil {
		i.err = errors.New(intervalReason(err))
	} else if loc := i.Location; loc != nil && loc.String() == "Local" {
		i.err = fmt.Errorf("unknown time zone %q", loc)
	}
	return nil
}

// intervalReason returns what is wrong, without lines of a text that nobody
// has written.
func intervalReason(err error) string {
	if te, ok := errors.AsType[*yaml.TypeError](err); ok {
		reasons := make([]string, len(te.Errors))
		for i, e := range te.Errors {
			_, reason, _ := strings.Cut(e, ": ")
			reasons[i], _, _ = strings.Cut(reason, " in type ")
		}
		return strings.Join(reasons, "; ")
	}
	return err.Error()
}

type maintenanceYAML struct {
	Name     string   `yaml:"name"`
	Matchers []string `yaml:"matchers"`
	Comment  string   `yaml:"comment"`
	Start    string   `yaml:"start"`
	End      string   `yaml:"end"`
	Cron     string   `yaml:"cron"`
	Duration string   `yaml:"duration"`
	Timezone string   `yaml:"timezone"`
}

// calendarDocument is one YAML document of kind HolidayCalendar.
type calendarDocument struct {
	APIVersion string              `yaml:"apiVersion"`
	Kind       string              `yaml:"kind"`
	Name       string              `yaml:"name"`
	Years      map[string]yearYAML `yaml:"years"`
}

type yearYAML struct {
	Holidays []string `yaml:"holidays"`
	Workdays []string `yaml:"workdays"`
}
