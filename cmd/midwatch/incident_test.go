package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/silence"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func TestATerminalObeysNobodysAlerts(t *testing.T) {
	const evil = "a\x1b]0;gone\x07b\r\nP1\u202ec"
	inc := alert.Incident{
		ID: 1, Title: evil, Service: evil, SLO: evil, Level: alert.P1, Status: alert.Acknowledged, AckedBy: evil,
		Alerts: []alert.Alert{{Labels: model.LabelSet{alert.LabelCluster: evil}}},
	}
	story := wire.Story{
		Incident: inc,
		Events:   []alert.Event{{Kind: alert.EventOpened, Text: evil, Actor: evil}},
		Evidence: []page.Evidence{{Source: evil, Problem: evil, Patterns: []page.LogPattern{{Code: evil, Template: evil}}}},
	}
	var out strings.Builder
	if err := printStory(&out, story); err != nil {
		t.Error(err)
	}
	matchers := silence.Exact(model.LabelSet{"service": evil})
	record := page.Record{Page: page.Page{To: page.Contact{FullName: evil, Channel: evil}}, Reason: evil}
	watched := drill{out: &out}
	for _, err := range []error{
		printIncidents(&out, []alert.Incident{inc}),
		printSilences(&out, []wire.Silence{{Silence: silence.Silence{Matchers: matchers, CreatedBy: evil, Comment: evil, Recurrence: &silence.Recurrence{Cron: evil, Timezone: evil}}}}),
		printDeeds(&out, []wire.Deed{{Actor: evil, Via: evil, Action: evil, Target: evil, Detail: evil}}),
		printDelivery(&out, wire.Delivery{Channels: []wire.Channel{{Name: evil, LastError: evil}}, Dead: []page.Record{record}}, time.Now()),
		table{drillRow(wire.Drill{StartedBy: evil, To: evil, Users: []string{evil}, Problem: evil})}.print(&out),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, kind := range []alert.EventKind{alert.EventPaged, alert.EventPageFailed, alert.EventAcknowledged, alert.EventEscalated} {
		out.WriteString(watched.line(alert.Event{Kind: kind, Text: evil, Actor: evil}))
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\r\u202e") || !strings.Contains(out.String(), "gone") || strings.Contains(out.String(), "\nP1") {
		t.Errorf("it prints %q", out.String())
	}
}

func TestHowAnSLOStandsInWords(t *testing.T) {
	for want, s := range map[string]page.Standing{
		"hangzhou: 5.20% errors, burning 104.0× as fast as it may, 12.5% of the budget left": {Cluster: "hangzhou", ErrorRatio: 0.052, BurnRate: 104, BudgetLeft: 0.125},
		"hangzhou: -3.0% of the budget left":                                                 {Cluster: "hangzhou", ErrorRatio: math.NaN(), BurnRate: math.NaN(), BudgetLeft: -0.03},
		"hangzhou: how the SLO stands is not known":                                          {Cluster: "hangzhou", ErrorRatio: math.NaN(), BurnRate: math.NaN(), BudgetLeft: math.NaN()},
	} {
		if got := figures(s); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
