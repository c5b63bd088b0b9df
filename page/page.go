// Package page holds what a person is told of an incident, and how the
// telling can go wrong. It knows neither how a page is sent nor when.
package page

import (
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

// Kind says why a page is sent.
type Kind string

// The kinds of pages.
const (
	Opened   Kind = "opened"   // first word of an incident
	Again    Kind = "again"    // nobody has acknowledged it
	Raised   Kind = "raised"   // its level rose
	Resolved Kind = "resolved" // it is over

	Escalated Kind = "escalated" // nobody paged before has acknowledged it: now it is the reader's
	Called    Kind = "called"    // somebody wants the reader for it: escalated, reassigned or called for help by hand
	Reopened  Kind = "reopened"  // it was over, and is not
	Updated   Kind = "updated"   // nothing to be woken for: the message that was sent before is brought up to date
	Bundle    Kind = "bundle"    // several incidents in one message: a storm, or the digest of a day's P3s
	Report    Kind = "report"    // the weekly report
)

// Contact is one way to reach one person.
type Contact struct {
	User     string `json:"user"`              // name in the on-call files
	FullName string `json:"full_name"`         // as a reader would write it
	Channel  string `json:"channel"`           // name of a notifier, such as wecom or email
	Address  string `json:"address"`           // what that channel calls the person
	Timezone string `json:"timezone,omitzero"` // IANA name; "" is UTC
	Language string `json:"language,omitzero"` // zh or en; "" is en
}

// Page is one message about one incident to one person through one channel.
type Page struct {
	Key      string         `json:"key"` // the same for every try to send it; unique to this page
	Kind     Kind           `json:"kind"`
	To       Contact        `json:"to"`
	At       time.Time      `json:"at"` // when it was caused
	Incident alert.Incident `json:"incident"`
	SLO      SLO            `json:"slo"`
	Evidence []Evidence     `json:"evidence,omitempty"`
	Link     string         `json:"link,omitempty"` // to the incident's page
	Round    int            `json:"round"`          // of the incident's pages, from 1
	Attempt  int            `json:"attempt"`        // to send it, from 1

	Ref     string        `json:"ref,omitempty"`      // the provider's reference to the incident's message to this address; "" when there is none that can be changed
	Story   []alert.Event `json:"story,omitempty"`    // what happened so far, oldest first; for channels that show it
	AckLink string        `json:"ack_link,omitempty"` // to acknowledge without a token: signed, expiring; a form, so a scanner's GET does nothing
	Others  []Entry       `json:"others,omitempty"`   // of a bundle: all its incidents, most urgent first
	Body    string        `json:"body,omitempty"`     // of a report: what it says, in lines: "# " begins a heading, "- " an item, tabs are between the cells of a table's row

	Rendered Rendered `json:"-"` // by an operator's templates; the zero value has the built-in words
}

// Entry is one incident of a bundle.
type Entry struct {
	Kind     Kind           `json:"kind"` // of the page that it stands for
	Incident alert.Incident `json:"incident"`
	Link     string         `json:"link,omitempty"`
}

// SLO is what the reader of a page should know of the objective: what it
// promises, and how it stands now. The zero SLO is an incident about no SLO.
type SLO struct {
	Description string        `json:"description,omitempty"`
	Objective   string        `json:"objective,omitempty"` // percent, as its author wrote it
	Window      string        `json:"window,omitempty"`    // such as 30d
	Period      time.Duration `json:"period,omitzero"`     // the window's length; 0 when unknown
	Runbook     string        `json:"runbook,omitempty"`
	Links       []SLOLink     `json:"links,omitempty"`   // its author's, such as a dashboard
	Answers     string        `json:"answers,omitempty"` // who answers for the service: its owner, its team, or both
	Standings   []Standing    `json:"standings,omitempty"`
}

// SLOLink is a page that the author of an SLO names.
type SLOLink struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// Standing is how an SLO stands in one cluster. A number that is unknown is
// NaN.
type Standing struct {
	Cluster    string  `json:"cluster"`
	ErrorRatio float64 `json:"error_ratio"` // of the last 5 minutes, 0 to 1
	BurnRate   float64 `json:"burn_rate"`   // of the last 5 minutes; 1 spends the budget exactly by the window's end
	BudgetLeft float64 `json:"budget_left"` // of the window; 1 is all, below 0 is overspent
}

// Evidence is what one source had to say.
type Evidence struct {
	Source   string        `json:"source"`            // such as logs
	Problem  string        `json:"problem,omitempty"` // why the source has nothing or not all; "" when all is well
	Patterns []LogPattern  `json:"patterns,omitempty"`
	Link     string        `json:"link,omitempty"` // to the same query in Grafana
	Window   time.Duration `json:"window"`         // how far back it looked
}

// LogPattern is a group of log lines that are the same but for their
// variable parts.
type LogPattern struct {
	Template string `json:"template"`       // variable parts as <*>
	Code     string `json:"code,omitempty"` // the program's own error code; the same in all its lines
	Count    int    `json:"count"`          // lines in the window
	Before   int    `json:"before"`         // lines in the same length of time before it
	AtLeast  bool   `json:"at_least"`       // the counts are lower bounds: there were more lines than were read
	Sample   string `json:"sample"`         // one line's message
	TraceID  string `json:"trace_id,omitempty"`
	Cluster  string `json:"cluster,omitempty"` // of the sample
	Pod      string `json:"pod,omitempty"`
}
