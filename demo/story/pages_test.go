package story

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/web/wire"
)

func good() page.Page {
	since := time.Date(2026, 11, 20, 19, 0, 56, 0, time.UTC)
	return page.Page{
		Kind: page.Opened, At: since.Add(4 * time.Second),
		To: page.Contact{User: "li.na", FullName: "Li Na", Channel: byWeCom, Address: "LiNa", Timezone: "Asia/Shanghai"},
		Incident: alert.Incident{
			ID: 1, Service: service, SLO: sloName, Title: "error budget burns", Level: alert.P1, Status: alert.Open, Since: since,
			Alerts: []alert.Alert{{Labels: model.LabelSet{"cluster": cluster}, State: alert.Firing}},
		},
		SLO: page.SLO{Objective: "99.95", Window: "30d", Standings: []page.Standing{
			{Cluster: cluster, ErrorRatio: 0.1, BurnRate: 200, BudgetLeft: 0.62},
		}},
		Evidence: []page.Evidence{{Source: "logs", Window: 10 * time.Minute, Patterns: []page.LogPattern{
			{Template: "TimeoutException: HikariPool-<*> - connection is not available", Count: 812, Before: 0},
		}}},
		Link: "http://127.0.0.1:18000/incidents/1",
	}
}

// check returns what is said to be wrong with a page to an address.
func check(p page.Page, to string) string {
	s := &story{Config: Config{Places: Places{Midwatch: "http://127.0.0.1:18000"}}, incident: good().Incident}
	s.checkPage(message{Channel: byWeCom, To: to, Text: p.Text(4000)}, wire.Shift{User: "li.na", FullName: "Li Na"})
	var all []string
	for _, err := range s.checks.failed {
		all = append(all, err.Error())
	}
	return strings.Join(all, "\n")
}

func TestAPageThatSaysAllPasses(t *testing.T) {
	for _, to := range []string{"lina", "LiNa", "li.na@shop.example.com"} {
		if wrong := check(good(), to); wrong != "" {
			t.Errorf("to %s: %s", to, wrong)
		}
	}
}

func TestAPageThatLacksSomethingFails(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*page.Page)
		to    string
		want  string
	}{
		"somebody else": {func(*page.Page) {}, "zhangwei", "want Li Na"},
		"no SLO":        {func(p *page.Page) { p.SLO.Objective = "99.5" }, "lina", "which SLO"},
		"no cluster":    {func(p *page.Page) { p.SLO.Standings[0].Cluster, p.Incident.Alerts = "x", nil }, "lina", "which cluster"},
		"another time":  {func(p *page.Page) { p.Incident.Since = p.Incident.Since.Add(time.Hour) }, "lina", "since when"},
		"no budget":     {func(p *page.Page) { p.SLO.Standings = nil }, "lina", "the budget left"},
		"no logs":       {func(p *page.Page) { p.Evidence = nil }, "lina", "the log pattern"},
		"other logs":    {func(p *page.Page) { p.Evidence[0].Patterns[0].Template = "retry" }, "lina", "the log pattern"},
		"no link":       {func(p *page.Page) { p.Link = "" }, "lina", "a link"},
	} {
		p := good()
		c.spoil(&p)
		if wrong := check(p, c.to); !strings.Contains(wrong, c.want) {
			t.Errorf("%s: found %q, want %q", name, wrong, c.want)
		}
	}
}

func TestBudgetTable(t *testing.T) {
	v := model.Vector{
		{Metric: model.Metric{"service": "p", "slo": "a", "cluster": "hangzhou"}, Value: 0.62},
		{Metric: model.Metric{"service": "p", "slo": "a", "cluster": "beijing"}, Value: 0.775},
	}
	want := strings.Repeat(" ", 38) + "   beijing  hangzhou\n" + "p/a" + strings.Repeat(" ", 35) + "     77.5%     62.0%"
	if got := budgetTable(v); got != want {
		t.Errorf("table\n%s\nwant\n%s", got, want)
	}
}
