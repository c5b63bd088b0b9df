package page

import (
	"math"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// samples returns pages to try templates with: of each kind in each language,
// with all that a page can say and with next to nothing.
func samples() (pages []Page) {
	for _, kind := range []Kind{Opened, Again, Raised, Resolved, Escalated, Called, Reopened, Updated, Bundle, Report} {
		for _, language := range []string{"en", "zh"} {
			full, bare := sample(kind), Page{Key: "sample", Kind: kind, Incident: alert.Incident{Level: alert.P3}}
			full.To.Language, bare.To.Language = language, language
			pages = append(pages, full, bare)
		}
	}
	return pages
}

func sample(kind Kind) Page {
	at := time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC)
	p := Page{
		Key: "sample", Kind: kind, At: at, Round: 1, Attempt: 1,
		To: Contact{User: "li.wei", FullName: "李伟", Channel: "email", Address: "li.wei@example.com", Timezone: "Asia/Shanghai"},
		Incident: alert.Incident{
			ID: 12, Key: "payment-service/payment-availability", Service: "payment-service", SLO: "payment-availability",
			Title: "error budget burns", Level: alert.P1, Status: alert.Open, Since: at.Add(-time.Minute), OpenedAt: at,
			Alerts: []alert.Alert{{Labels: model.LabelSet{"alertname": "SLOErrorBudgetBurn", "cluster": "hangzhou"}, StartsAt: at, EndsAt: at, State: alert.Firing}},
		},
		SLO: SLO{
			Description: "Payments succeed.", Objective: "99.95", Window: "30d", Period: 30 * 24 * time.Hour, Runbook: "https://runbooks.example.com/payments",
			Standings: []Standing{
				{Cluster: "hangzhou", ErrorRatio: 0.0117, BurnRate: 23.4, BudgetLeft: 0.61},
				{Cluster: "beijing", ErrorRatio: math.NaN(), BurnRate: math.NaN(), BudgetLeft: math.NaN()},
			},
		},
		Evidence: []Evidence{{
			Source: "logs", Window: 10 * time.Minute, Link: "https://grafana.example.com/explore",
			Patterns: []LogPattern{{Template: "no connection after <*>ms", Count: 412, Before: 3, Sample: "no connection after 3000ms", TraceID: "4bf92f35", Pod: "payment-7d9c", Cluster: "hangzhou"}},
		}},
		Link: "https://midwatch.example.com/incidents/12", AckLink: "https://midwatch.example.com/ack/x",
	}
	switch kind {
	case Resolved:
		p.Incident.Status, p.Incident.ResolvedAt = alert.Closed, at
	case Bundle:
		p.Others = []Entry{{Kind: Opened, Incident: p.Incident, Link: p.Link}, {Kind: Resolved, Incident: p.Incident, Link: p.Link}}
	case Report:
		p.Body = "# Incidents\n- #12\nSLO\tLeft\npayments\t61%\n"
	default:
	}
	return p
}
