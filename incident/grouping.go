package incident

import (
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// Bounds of what is made of labels, in bytes.
const (
	maxTitle = 120
	maxKey   = 512 // a database's index takes no more than some thousand
)

// KeyOf returns what the alerts of one incident have in common by default:
// service and SLO, whichever cluster they come from. An alert about no SLO has
// its alertname in the place of it. Parts hold no slash of their own. Clusters
// that cannot alert, and people whom no page reaches, are an incident each. It
// has at most 512 bytes: of a longer one the end is a digest.
func KeyOf(a alert.Alert) string { return boundKey(keyOf(a)) }

func keyOf(a alert.Alert) string {
	service, slo, name := a.Label(alert.LabelService), a.Label(alert.LabelSLO), a.Label(model.AlertNameLabel)
	switch {
	case service == ownService && name == clusterSilent:
		return part(service) + "/" + part(name) + "/" + part(a.Label(alert.LabelCluster))
	case service == ownService && name == pageUndeliverable:
		return part(service) + "/" + part(name) + "/" + part(a.Label("user"))
	case service != "" && slo != "":
		return part(service) + "/" + part(slo)
	case service != "" && name != "":
		return part(service) + "/" + part(name)
	case name != "":
		return part(name)
	}
	return a.Labels.String()
}

// keyBy returns what the alerts of one incident have in common where a route
// says by which labels: these and their values. It begins with a slash, as no
// key of KeyOf does.
func keyBy(groupBy []string, a alert.Alert) string {
	var b strings.Builder
	for _, name := range groupBy {
		b.WriteString("/" + escapeName.Replace(name) + "=" + part(a.Label(name)))
	}
	return boundKey(b.String())
}

// boundKey returns a key, or its beginning and a digest of all of it.
func boundKey(key string) string {
	if len(key) <= maxKey {
		return key
	}
	end := "#" + digest(key)
	return strings.ToValidUTF8(key[:maxKey-len(end)], "") + end
}

// group is where an alert belongs that begins to fire.
type group struct {
	key    string
	policy string
}

func (e *Engine) groupOf(a alert.Alert) group {
	route := e.c.Responders.Route(a.Labels)
	if len(route.GroupBy) == 0 {
		return group{KeyOf(a), route.Policy}
	}
	return group{keyBy(route.GroupBy, a), route.Policy}
}

var (
	escapeSlash = strings.NewReplacer("%", "%25", "/", "%2F")
	escapeName  = strings.NewReplacer("%", "%25", "/", "%2F", "=", "%3D")
)

func part(s string) string { return escapeSlash.Replace(s) }

// budgetBurn is the name of the alerts that a budget burns. Others about an
// SLO, such as that it has no data, say themselves what they are.
const budgetBurn = "SLOErrorBudgetBurn"

// titleOf returns the symptom in a few words.
func titleOf(a alert.Alert) string {
	slo, name := a.Label(alert.LabelSLO), a.Label(model.AlertNameLabel)
	summary, _, _ := strings.Cut(strings.TrimSpace(string(a.Annotations["summary"])), "\n")
	switch {
	case a.Label(alert.LabelService) != "" && slo != "" && (name == budgetBurn || summary == ""):
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
