package foreign

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/slo"
)

// reserved are labels that the rules set or match on, which an SLO cannot
// carry.
const reserved = " alertname parameter parameters service severity slo tier percent scope calendar late timezone period "

// Label returns the name under which a label of another tool is carried: as it
// is; with '_' for each character that Prometheus' label names do not have;
// and after the prefix where the name is one of our own, as with "sloth" for
// severity, which becomes sloth_severity.
func Label(prefix, name string) string {
	var b strings.Builder
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		digit := '0' <= r && r <= '9'
		switch {
		case letter || digit && i > 0:
			b.WriteRune(r)
		case digit:
			b.WriteByte('_')
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	clean := b.String()
	if strings.Contains(reserved, " "+clean+" ") || strings.HasPrefix(clean, model.ReservedLabelPrefix) || clean == "" {
		return prefix + "_" + strings.TrimLeft(clean, "_")
	}
	return clean
}

// Slug returns a text as a part of a name: letters and digits, with '-' for
// what is between them. It may be empty.
func Slug(text string) string {
	fields := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(fields, "-")
}

// Clip shortens a text of a file for a message.
func Clip(text string) string {
	const most = 60
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return text
}

// Placer says where a label or an annotation is, as Place.Key does for those
// of one mapping.
type Placer func(name string) Place

// Labels carries labels of another tool over, under the names that Label
// gives. Those that say who answers for the SLO become its team and owner.
func (e *Entry) Labels(prefix string, at Placer, labels map[string]string) {
	e.carry(prefix, "metadata.labels", &e.Document.Metadata.Labels, at, labels)
	for name, field := range map[string]*string{"team": &e.Document.Spec.Team, "owner": &e.Document.Spec.Owner} {
		if value := e.Document.Metadata.Labels[name]; value != "" {
			*field = value
			e.Places["spec."+name] = e.Find("metadata.labels." + name)
			delete(e.Document.Metadata.Labels, name)
		}
	}
	if len(e.Document.Metadata.Labels) == 0 {
		e.Document.Metadata.Labels = nil
	}
}

// Annotations carries annotations of another tool over, under the names that
// Label gives. One that is named runbook or runbook_url and is a URL becomes
// the SLO's runbook.
func (e *Entry) Annotations(prefix string, at Placer, annotations map[string]string) {
	rest := maps.Clone(annotations)
	for _, name := range []string{"runbook_url", "runbook"} {
		if value := rest[name]; strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://") {
			if e.Document.Spec.Runbook == "" {
				e.Document.Spec.Runbook = value
				e.Places["spec.runbook"] = at(name)
				delete(rest, name)
			}
		}
	}
	e.carry(prefix, "metadata.annotations", &e.Document.Metadata.Annotations, at, rest)
}

// Extra carries over the labels and annotations that only some alerts have:
// those of "page" or of "ticket".
func (e *Entry) Extra(prefix, which string, labels Placer, ls map[string]string, annotations Placer, as map[string]string) {
	if len(ls)+len(as) == 0 {
		return
	}
	into := &slo.ExtraText{}
	e.carry(prefix, "spec.alerts."+which+".labels", &into.Labels, labels, ls)
	e.carry(prefix, "spec.alerts."+which+".annotations", &into.Annotations, annotations, as)
	if which == "page" {
		e.Alerts().Page = into
	} else {
		e.Alerts().Ticket = into
	}
}

// Alerts returns the policy of an entry, for the caller to fill.
func (e *Entry) Alerts() *slo.AlertsText {
	if e.Document.Spec.Alerts == nil {
		e.Document.Spec.Alerts = &slo.AlertsText{}
	}
	return e.Document.Spec.Alerts
}

// carry adds labels or annotations to those of a native field.
func (e *Entry) carry(prefix, field string, into *map[string]string, at Placer, from map[string]string) {
	for _, original := range slices.Sorted(maps.Keys(from)) {
		name, value := Label(prefix, original), from[original]
		place := at(original)
		if known, there := (*into)[name]; there && known != value {
			e.Problem(place, fmt.Sprintf("would be carried as %s, as another one is", name), "rename one of them")
			continue
		}
		if *into == nil {
			*into = map[string]string{}
		}
		(*into)[name] = value
		e.Places[field+"."+name] = place
	}
}

// Split parts what some alerts have from what all have, where those of a page
// or of a ticket may stand over what all have: a name that they have with
// another value is not of all alerts, but of the page's and the ticket's; one
// that they have with the same value is of all alone.
func Split(all, page, ticket map[string]string) (common, ofPage, ofTicket map[string]string) {
	common, ofPage, ofTicket = map[string]string{}, maps.Clone(page), maps.Clone(ticket)
	if ofPage == nil {
		ofPage = map[string]string{}
	}
	if ofTicket == nil {
		ofTicket = map[string]string{}
	}
	for name, value := range all {
		p, onPage := page[name]
		t, onTicket := ticket[name]
		if (!onPage || p == value) && (!onTicket || t == value) {
			common[name] = value
			delete(ofPage, name)
			delete(ofTicket, name)
			continue
		}
		if !onPage {
			ofPage[name] = value
		}
		if !onTicket {
			ofTicket[name] = value
		}
	}
	return common, ofPage, ofTicket
}
