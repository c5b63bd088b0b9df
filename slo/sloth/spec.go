package sloth

import (
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// group are the SLOs of one service, whichever of the two formats they were
// written in.
type group struct {
	service string
	labels  map[string]string
	plugins any
	slos    []objective
}

type objective struct {
	Name        string            `yaml:"name"`
	Description string            `yaml:"description"`
	Objective   slo.Number        `yaml:"objective"`
	Plugins     any               `yaml:"plugins"`
	Interval    any               `yaml:"interval"`
	Labels      map[string]string `yaml:"labels"`

	sli      sli
	alerting alerting
}

type sli struct {
	raw                string
	errors, total      string
	hasRaw, hasEvents  bool
	plugin             *plugin
	rawKey             string // the names of the fields, below sli
	errorKey, totalKey string
}

type plugin struct {
	ID      string            `yaml:"id"`
	Options map[string]string `yaml:"options"`
}

type alerting struct {
	Name        string            `yaml:"name"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`

	page, ticket       alert
	pageKey, ticketKey string // the names of the fields
}

type alert struct {
	Disable     bool              `yaml:"disable"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// The format of files: version prometheus/v1.
type (
	file struct {
		Version    string            `yaml:"version"`
		Service    string            `yaml:"service"`
		Labels     map[string]string `yaml:"labels"`
		SLOPlugins any               `yaml:"slo_plugins"`
		SLOs       []fileObjective   `yaml:"slos"`
	}
	fileObjective struct {
		objective `yaml:",inline"`
		SLI       struct {
			Raw *struct {
				ErrorRatioQuery string `yaml:"error_ratio_query"`
			} `yaml:"raw"`
			Events *struct {
				ErrorQuery string `yaml:"error_query"`
				TotalQuery string `yaml:"total_query"`
			} `yaml:"events"`
			Plugin *plugin `yaml:"plugin"`
		} `yaml:"sli"`
		Alerting struct {
			alerting    `yaml:",inline"`
			PageAlert   alert `yaml:"page_alert"`
			TicketAlert alert `yaml:"ticket_alert"`
		} `yaml:"alerting"`
	}
)

// The format of Kubernetes' objects: sloth.slok.dev/v1.
type (
	object struct {
		APIVersion string             `yaml:"apiVersion"`
		Kind       string             `yaml:"kind"`
		Metadata   foreign.ObjectMeta `yaml:"metadata"`
		Spec       objectSpec         `yaml:"spec"`
		Status     any                `yaml:"status"`
	}
	objectSpec struct {
		Service    string            `yaml:"service"`
		Labels     map[string]string `yaml:"labels"`
		SLOPlugins any               `yaml:"sloPlugins"`
		SLOs       []objectObjective `yaml:"slos"`
	}
	objectObjective struct {
		objective `yaml:",inline"`
		SLI       struct {
			Raw *struct {
				ErrorRatioQuery string `yaml:"errorRatioQuery"`
			} `yaml:"raw"`
			Events *struct {
				ErrorQuery string `yaml:"errorQuery"`
				TotalQuery string `yaml:"totalQuery"`
			} `yaml:"events"`
			Plugin *plugin `yaml:"plugin"`
		} `yaml:"sli"`
		Alerting struct {
			alerting    `yaml:",inline"`
			PageAlert   alert `yaml:"pageAlert"`
			TicketAlert alert `yaml:"ticketAlert"`
		} `yaml:"alerting"`
	}
)

// keys are the names of fields, which the two formats write differently. Those
// of an SLI are below sli, the others below alerting.
type keys struct{ raw, errors, total, page, ticket string }

func (f *file) group() group {
	g := group{service: f.Service, labels: f.Labels, plugins: f.SLOPlugins}
	for _, in := range f.SLOs {
		g.slos = append(g.slos, in.neutral(keys{"raw.error_ratio_query", "events.error_query", "events.total_query", "page_alert", "ticket_alert"}))
	}
	return g
}

func (s *objectSpec) group() group {
	g := group{service: s.Service, labels: s.Labels, plugins: s.SLOPlugins}
	for _, in := range s.SLOs {
		// The same but for the names of fields, which a conversion looks past.
		g.slos = append(g.slos, fileObjective(in).neutral(keys{"raw.errorRatioQuery", "events.errorQuery", "events.totalQuery", "pageAlert", "ticketAlert"}))
	}
	return g
}

// neutral returns what is written, whichever format it was written in.
func (in fileObjective) neutral(k keys) objective {
	o := in.objective
	o.alerting = in.Alerting.alerting
	o.alerting.page, o.alerting.ticket = in.Alerting.PageAlert, in.Alerting.TicketAlert
	o.alerting.pageKey, o.alerting.ticketKey = k.page, k.ticket
	o.sli = sli{plugin: in.SLI.Plugin, rawKey: k.raw, errorKey: k.errors, totalKey: k.total}
	if in.SLI.Raw != nil {
		o.sli.hasRaw, o.sli.raw = true, in.SLI.Raw.ErrorRatioQuery
	}
	if in.SLI.Events != nil {
		o.sli.hasEvents, o.sli.errors, o.sli.total = true, in.SLI.Events.ErrorQuery, in.SLI.Events.TotalQuery
	}
	return o
}
