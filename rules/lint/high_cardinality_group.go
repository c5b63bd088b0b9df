package lint

import (
	"fmt"
	"slices"
)

func highCardinalityGroup() Check {
	return Check{
		Name: "high-cardinality-group", Severity: Warning,
		Finds: "group_by of a label that has many values, or ever new ones: pod, instance, path, url, ip, user, trace and the like.",
		Why:   "Each value has a budget, series and pages of its own. A pod's budget ends with the pod, and a path with an ID in it has one request.",
		one: func(s *subject) {
			many := []string{
				"pod", "pod_name", "instance", "container_id", "node", "host", "hostname", "ip", "client_ip", "remote_addr", "path", "uri", "url",
				"user", "user_id", "customer_id", "session", "session_id", "request_id", "trace_id", "id", "uid", "email",
			}
			for i, label := range s.slo.GroupBy {
				if slices.Contains(many, label) {
					s.add("spec.group_by", "group by what is few and stays, such as region or route", "label %q has many values, or new ones after each deployment%s", label, position(i))
				}
			}
		},
	}
}

func position(i int) string {
	if i == 0 {
		return ""
	}
	return fmt.Sprintf(" (the %s)", []string{"first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"}[min(i, 9)])
}
