package incident

import (
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// maxTitle bounds a title, in bytes.
const maxTitle = 120

// KeyOf returns what the alerts of one incident have in common: service and
// SLO, whichever cluster they come from. An alert about no SLO has its
// alertname in the place of it. Parts hold no slash of their own.
func KeyOf(a alert.Alert) string {
	service, slo, name := a.Label(alert.LabelService), a.Label(alert.LabelSLO), a.Label(model.AlertNameLabel)
	switch {
	case service != "" && slo != "":
		return part(service) + "/" + part(slo)
	case service != "" && name != "":
		return part(service) + "/" + part(name)
	case name != "":
		return part(name)
	}
	return a.Labels.String()
}

var escapeSlash = strings.NewReplacer("%", "%25", "/", "%2F")

func part(s string) string { return escapeSlash.Replace(s) }

// titleOf returns the symptom in a few words.
func titleOf(a alert.Alert) string {
	slo, name := a.Label(alert.LabelSLO), a.Label(model.AlertNameLabel)
	summary, _, _ := strings.Cut(strings.TrimSpace(string(a.Annotations["summary"])), "\n")
	switch {
	case a.Label(alert.LabelService) != "" && slo != "":
		return cut(slo+" burns its error budget", maxTitle)
	case summary != "":
		return cut(summary, maxTitle)
	case name != "":
		return cut(name, maxTitle)
	}
	return cut(a.Labels.String(), maxTitle)
}

// cut returns at most limit bytes of s, whole characters.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	limit -= len("…")
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
