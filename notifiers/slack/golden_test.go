package slack

import (
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/page"
)

// TestGoldenMessages keeps whole messages as their readers see them.
func TestGoldenMessages(t *testing.T) {
	outage := pageTo(liWei, page.Opened, "opened")
	outage.SLO.Runbook = "https://runbooks.example.com/payments"
	outage.Evidence = []page.Evidence{{
		Source: "logs", Window: 10 * time.Minute, Link: "https://grafana.example.com/explore",
		Patterns: []page.LogPattern{
			{Template: "TimeoutException: no connection after <*>ms", Count: 412, Before: 3, Sample: "TimeoutException: no connection after 3000ms", Pod: "payment-7d9c"},
			{Template: "retry <*> of order <*>", Count: 37, Before: 30, Sample: "retry 2 of order 8812"},
		},
	}}
	escalated := pageTo(liWei, page.Escalated, "escalated")
	escalated.Story = []alert.Event{
		{At: escalated.At.Add(-time.Minute), Kind: alert.EventAlert, Text: "an alert joined: beijing"},
		{At: escalated.At, Kind: alert.EventEscalated, Text: "step 2: payments-second"},
	}
	resolved := pageTo(liWei, page.Resolved, "resolved")
	for name, p := range map[string]page.Page{
		"opened": outage, "escalated": escalated, "resolved": resolved,
		"bundle": pageTo(liWei, page.Bundle, "bundle"), "report": pageTo(liWei, page.Report, "report"),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			if name == "escalated" || name == "resolved" {
				p.Ref = r.mustSend(t, pageTo(liWei, page.Opened, "first"))
			}
			r.mustSend(t, p)
			seen := ""
			for _, m := range r.provider.Messages() {
				seen += "=== " + m.Text + "\n" + m.Seen() + "\n"
			}
			golden.File(t, "testdata/"+name+".golden", seen)
		})
	}
}
