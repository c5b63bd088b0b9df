package rules

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The label by which Prometheus Operator's objects tell those for each
// cluster's Prometheus from those for a ruler that sees all clusters: its
// values are "cluster" and "fleet".
const scopeLabel = "midwatch.dev/scope"

// maxObjectBytes is the size that Kubernetes keeps of an object.
const maxObjectBytes = 1 << 20

// object writes a PrometheusRule of Prometheus Operator's API
// monitoring.coreos.com/v1.
func (w *yamlWriter) object(f File, o Output) {
	begin := len(w.b)
	w.line("apiVersion: monitoring.coreos.com/v1")
	w.line("kind: PrometheusRule")
	w.line("metadata:")
	w.indent = 2
	w.field("name", objectName(f.namespace()))
	if o.Namespace != "" {
		w.field("namespace", o.Namespace)
	}
	scope := "cluster"
	if f.Fleet() {
		scope = FleetFolder
	}
	labels := map[string]string{"app.kubernetes.io/managed-by": "midwatch", scopeLabel: scope}
	maps.Copy(labels, o.Labels)
	w.texts("labels", labels)
	w.indent = 0
	w.line("spec:")
	w.indent = 2
	w.groups(f.Groups)
	w.indent = 0
	if n := len(w.b) - begin; n >= maxObjectBytes && w.err == nil {
		w.err = fmt.Errorf("the object has %d bytes, and Kubernetes keeps less than %d: one SLO has too many rules", n, maxObjectBytes)
	}
}

// longestObject is that of a label of RFC 1123, in bytes. Names of objects may
// be longer, but not what is made of them.
const longestObject = 63

var notInObjects = regexp.MustCompile(`[^a-z0-9-]+`)

// objectName returns a name that Kubernetes takes (RFC 1123: lower-case
// letters, digits and hyphens), with a hash where it is not the text itself.
func objectName(text string) string {
	name := strings.Trim(notInObjects.ReplaceAllString(strings.ToLower(text), "-"), "-")
	if name == text && len(name) <= longestObject {
		return name
	}
	hash := shortHash(text)
	name = name[:min(len(name), longestObject-1-len(hash))]
	return strings.Trim(name, "-") + "-" + hash
}

var (
	dnsLabel        = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	dnsSubdomain    = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$`)
	objectLabel     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	reservedOfLabel = []string{scopeLabel, "app.kubernetes.io/managed-by"}
)

// checkObject says what Kubernetes would refuse.
func (o *Output) checkObject() error {
	if o.Namespace != "" && !dnsLabel.MatchString(o.Namespace) {
		return fmt.Errorf("namespace %q is no name of a Kubernetes namespace: lower-case letters, digits and hyphens, at most 63", o.Namespace)
	}
	for _, key := range slices.Sorted(maps.Keys(o.Labels)) {
		domain, name, qualified := strings.Cut(key, "/")
		if !qualified {
			domain, name = "", key
		}
		switch value := o.Labels[key]; {
		case slices.Contains(reservedOfLabel, key):
			return fmt.Errorf("label %s is set by midwatch itself", key)
		case !objectLabel.MatchString(name) || qualified && !dnsSubdomain.MatchString(domain):
			return fmt.Errorf("%q is no label of Kubernetes: want name, or example.com/name, the name of letters, digits, and -_. between them, at most 63", key)
		case value != "" && !objectLabel.MatchString(value):
			return fmt.Errorf("label %s: %q is no value of a label of Kubernetes: want letters, digits, and -_. between them, at most 63", key, value)
		}
	}
	return nil
}
