package web

import (
	"net/http"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/ingest"
)

func (h *Handler) routes() []route {
	routes := h.pageRoutes()
	routes = append(routes, h.alertmanagerRoutes()...)
	routes = append(routes, h.apiRoutes()...)
	routes = append(routes, h.ingestRoutes()...)
	return append(routes, h.processRoutes()...)
}

// Methods of routes.
func reading() []string    { return []string{http.MethodGet, http.MethodHead} }
func posting() []string    { return []string{http.MethodPost} }
func readOrPost() []string { return append(reading(), http.MethodPost) }

// alertmanagerRoutes are Alertmanager's API v2.
func (h *Handler) alertmanagerRoutes() []route {
	v2 := func(pattern, name string, methods []string, answer answer) route {
		return route{
			pattern: pattern, name: name, methods: methods, limit: writeLimit, body: maxSilenceBody, via: "api",
			answer: answer, fail: h.failAlerts,
		}
	}
	alerts := v2("/api/v2/alerts", "alerts", readOrPost(), splitMethods(h.listAlerts, h.receive))
	alerts.body = alert.MaxBody
	return []route{
		alerts,
		v2("/api/v2/alerts/groups", "alert_groups", reading(), h.listGroups),
		v2("/api/v2/silences", "silences", readOrPost(), splitMethods(h.listSilencesV2, h.postSilenceV2)),
		v2("/api/v2/silence/{id}", "silence", append(reading(), http.MethodDelete), splitMethods(h.getSilenceV2, h.deleteSilence)),
		v2("/api/v2/status", "status", reading(), h.status),
		v2("/api/v2/receivers", "receivers", reading(), h.receivers),
		{pattern: "/api/v2/", name: "api_v2", answer: h.unknownV2, fail: h.failAlerts},
	}
}

// ingestRoutes take alerts in from other systems.
func (h *Handler) ingestRoutes() []route {
	hook := func(pattern, name string, answer answer) route {
		return route{
			pattern: pattern, name: name, methods: posting(), limit: writeLimit, body: ingest.MaxBody, via: "api",
			answer: answer, fail: h.failAPI,
		}
	}
	return []route{
		hook("/api/v1/ingest/alertmanager", "ingest_alertmanager", h.hook(ingest.Alertmanager)),
		hook("/api/v1/ingest/grafana", "ingest_grafana", h.hook(ingest.Grafana)),
		hook("/api/v1/ingest/sentry", "ingest_sentry", h.sentryHook),
		{
			pattern: "/callbacks/{name}", name: "callback", limit: callbackLimit, body: maxCallback, via: "chat",
			answer: h.callback, fail: h.failPlain,
		},
	}
}

// callbackLimit is how long a provider's callback may take: providers wait for
// five seconds at most.
const callbackLimit = 10 * time.Second

// callback hands a provider's request to the handler of that name, which
// verifies it.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) error {
	to, ok := (*h.calls.Load())[r.PathValue("name")]
	if !ok {
		return notFound("no channel takes callbacks here")
	}
	to.ServeHTTP(w, r)
	return nil
}

func (h *Handler) processRoutes() []route {
	plain := func(pattern, name string, methods []string, answer answer) route {
		return route{
			pattern: pattern, name: name, methods: methods, limit: writeLimit, body: maxActBody, via: "api",
			answer: answer, fail: h.failPlain,
		}
	}
	return []route{
		plain("/metrics", "metrics", reading(), h.showMetrics()),
		{pattern: "/federate", name: "federate", methods: reading(), body: maxQueryBody, via: "api", answer: h.query, fail: h.failPlain},
		plain("/-/healthy", "healthy", reading(), h.healthy),
		plain("/-/ready", "ready", reading(), h.ready),
		plain("/-/reload", "reload", posting(), h.reload),
	}
}

func (h *Handler) pageRoutes() []route {
	page := func(pattern, name string, methods []string, answer answer) route {
		return route{
			pattern: pattern, name: name, methods: methods, limit: readLimit, body: maxActBody, via: "ui",
			answer: answer, fail: h.failPage,
		}
	}
	return []route{
		page("/{$}", "board", reading(), h.board),
		page("/incidents", "incidents", reading(), h.incidents),
		page("/incidents/{id}", "incident", readOrPost(), h.incident),
		page("/silences", "silences_page", readOrPost(), h.silencesPage),
		page("/oncall", "oncall", readOrPost(), h.oncallPage),
		page("/ical/{kind}/{file}", "ical", reading(), h.icalFile),
		page("/delivery", "delivery", reading(), h.deliveryPage),
		page("/audit", "audit", reading(), h.auditPage),
		page("/clusters", "clusters", reading(), h.clustersPage),
		page("/drills", "drills", readOrPost(), h.drillsPage),
		page("/a/{id}/{signed}", "acklink", readOrPost(), h.ackLink),
		page("/assets/{name}", "assets", reading(), h.asset),
		page("/", "unknown", nil, h.unknownPage),
	}
}

// apiRoutes are Midwatch's own API, beside that of Prometheus.
func (h *Handler) apiRoutes() []route {
	api := func(pattern, name string, methods []string, answer answer) route {
		return route{
			pattern: pattern, name: name, methods: methods, limit: readLimit, body: maxActBody, via: "api",
			answer: answer, fail: h.failAPI,
		}
	}
	silences := api("/api/v1/silences", "api_silences", readOrPost(), splitMethods(h.listSilences, h.postSilence))
	silences.body = maxSilenceBody
	routes := []route{
		silences,
		api("/api/v1/silences/{id}", "api_silence", append(reading(), http.MethodDelete), splitMethods(h.getSilence, h.deleteSilenceAPI)),
		api("/api/v1/incidents", "api_incidents", reading(), h.listIncidents),
		api("/api/v1/incidents/{id}", "api_incident", reading(), h.getIncident),
		api("/api/v1/oncall", "api_oncall", reading(), h.listOnCall),
		api("/api/v1/overrides", "api_overrides", readOrPost(), splitMethods(h.listOverrides, h.postOverride)),
		api("/api/v1/overrides/{id}", "api_override", []string{http.MethodDelete}, h.deleteOverride),
		api("/api/v1/audit", "api_audit", reading(), h.listAudit),
		api("/api/v1/drills", "api_drills", readOrPost(), splitMethods(h.listDrills, h.postDrill)),
		api("/api/v1/delivery", "api_delivery", reading(), h.getDelivery),
		api("/api/v1/deadpages", "api_deadpages", reading(), h.listDeadPages),
		api("/api/v1/heartbeats", "api_heartbeats", reading(), h.listHeartbeats),
		api("/api/v1/status/rules", "api_status_rules", reading(), h.getRuleStatus),
		api("/api/v1/status/clusters", "api_status_clusters", reading(), h.getClusterStatus),
		{pattern: "/api/v1/", name: "api_query", body: maxQueryBody, via: "api", answer: h.query, fail: h.failAPI},
		{pattern: "/api/", name: "api_unknown", answer: h.unknownAPI, fail: h.failAPI},
	}
	for _, d := range h.deeds() {
		routes = append(routes, api("/api/v1/incidents/{id}/"+d.name, "api_"+d.name, posting(), h.actAPI(d)))
	}
	return routes
}
