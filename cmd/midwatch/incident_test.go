package main

import (
	"strings"
	"testing"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
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
	if err := printIncidents(&out, []alert.Incident{inc}); err != nil {
		t.Error(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\r\u202e") || !strings.Contains(out.String(), "gone") || strings.Contains(out.String(), "\nP1") {
		t.Errorf("it prints %q", out.String())
	}
}
