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

func (f *file) group() group {
	g := group{service: f.Service, labels: f.Labels, plugins: f.SLOPlugins}
	for _, in := range f.SLOs {
		o := in.objective
		o.alerting = in.Alerting.alerting
		o.alerting.page, o.alerting.ticket = in.Alerting.PageAlert, in.Alerting.TicketAlert
		o.alerting.pageKey, o.alerting.ticketKey = "page_alert", "ticket_alert"
		o.sli = sli{plugin: in.SLI.Plugin, rawKey: "raw.error_ratio_query", errorKey: "events.error_query", totalKey: "events.total_query"}
		if in.SLI.Raw != nil {
			o.sli.hasRaw, o.sli.raw = true, in.SLI.Raw.ErrorRatioQuery
		}
		if in.SLI.Events != nil {
			o.sli.hasEvents, o.sli.errors, o.sli.total = true, in.SLI.Events.ErrorQuery, in.SLI.Events.TotalQuery
		}
		g.slos = append(g.slos, o)
	}
	return g
}

func (s *objectSpec) group() group {
	g := group{service: s.Service, labels: s.Labels, plugins: s.SLOPlugins}
	for _, in := range s.SLOs {
		o := in.objective
		o.alerting = in.Alerting.alerting
		o.alerting.page, o.alerting.ticket = in.Alerting.PageAlert, in.Alerting.TicketAlert
		o.alerting.pageKey, o.alerting.ticketKey = "pageAlert", "ticketAlert"
		o.sli = sli{plugin: in.SLI.Plugin, rawKey: "raw.errorRatioQuery", errorKey: "events.errorQuery", totalKey: "events.totalQuery"}
		if in.SLI.Raw != nil {
			o.sli.hasRaw, o.sli.raw = true, in.SLI.Raw.ErrorRatioQuery
		}
		if in.SLI.Events != nil {
			o.sli.hasEvents, o.sli.errors, o.sli.total = true, in.SLI.Events.ErrorQuery, in.SLI.Events.TotalQuery
		}
		g.slos = append(g.slos, o)
	}
	return g
}
