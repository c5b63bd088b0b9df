package email

import (
	"maps"
	"math"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/page"
)

// outage is a page as a real outage makes it.
func outage() page.Page {
	at := time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC) // 03:02:31 in Shanghai
	return page.Page{
		Key: "12/opened/li.wei/email", Kind: page.Opened, At: at, Link: "https://midwatch.example.com/incidents/12",
		To: page.Contact{User: "li.wei", FullName: "李伟", Channel: "email", Address: "li.wei@example.com", Timezone: "Asia/Shanghai"},
		Incident: alert.Incident{
			ID: 12, Key: "payment-service/payment-availability", Service: "payment-service", SLO: "payment-availability",
			Title: "error budget burns", Level: alert.P1, Status: alert.Open, Since: at.Add(-95 * time.Second), OpenedAt: at.Add(-2 * time.Second),
			Alerts: []alert.Alert{{Labels: model.LabelSet{"cluster": "hangzhou"}}, {Labels: model.LabelSet{"cluster": "beijing"}}},
		},
		SLO: page.SLO{
			Description: "Payments that the user asked for succeed.", Objective: "99.95", Window: "30d",
			Runbook: "https://runbooks.example.com/payments",
			Standings: []page.Standing{
				{Cluster: "beijing", ErrorRatio: 0.0002, BurnRate: 0.4, BudgetLeft: 0.912},
				{Cluster: "hangzhou", ErrorRatio: 0.0117, BurnRate: 23.4, BudgetLeft: -0.031},
			},
		},
		Evidence: []page.Evidence{{
			Source: "logs", Window: 10 * time.Minute, Link: "https://grafana.example.com/explore?left=%7B%7D",
			Patterns: []page.LogPattern{
				{Template: "TimeoutException: no connection from pool after <*>ms", Count: 412, Before: 3, AtLeast: true, Sample: "TimeoutException: no connection from pool after 3000ms", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Cluster: "hangzhou", Pod: "payment-7d9c-x2x1"},
				{Template: "retry <*> of order <*>", Count: 37, Before: 30, Sample: "retry 2 of order 8812"},
			},
		}},
	}
}

// TestGoldenMails keeps how mails read, and each whole mail as it is sent.
func TestGoldenMails(t *testing.T) {
	n, err := New(Config{Smarthost: "mail.example.com:587", From: "Midwatch <midwatch@example.com>", Hello: "midwatch.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	cases := mailCases()
	maps.Copy(cases, kindCases())
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			p := outage()
			change(&p)
			html, err := render(p)
			if err != nil {
				t.Fatal(err)
			}
			golden.File(t, "testdata/"+name+".html", html)
			golden.File(t, "testdata/"+name+".txt", p.Text(maxText)+"\n")
			golden.File(t, "testdata/"+name+".head", head(t, n, p))
		})
	}
}

func mailCases() map[string]func(*page.Page) {
	return map[string]func(*page.Page){
		"opened": func(*page.Page) {},
		"raised": func(p *page.Page) {
			p.Key, p.Kind, p.Incident.Status, p.Incident.AckedBy, p.Incident.Stale = "12/raised", page.Raised, alert.Acknowledged, "ana", true
		},
		"resolved": func(p *page.Page) {
			p.Key, p.Kind, p.At = "12/resolved", page.Resolved, p.At.Add(19*time.Minute)
			p.Incident.Status, p.Incident.ResolvedAt = alert.Closed, p.At
			p.SLO.Standings[1].BurnRate, p.SLO.Standings[1].ErrorRatio = 0.2, 0.0001
		},
		"no-slo": func(p *page.Page) {
			p.Key, p.SLO, p.Evidence = "7", page.SLO{}, []page.Evidence{{Source: "logs", Problem: "loki: no answer within 3 s"}}
			p.Incident = alert.Incident{ID: 7, Title: "node 10.0.0.7 is down", Level: alert.P3, Status: alert.Open, Since: p.At.Add(-time.Hour)}
		},
		"chinese": func(p *page.Page) {
			p.Key, p.SLO.Standings = "cn", []page.Standing{{Cluster: "杭州", BurnRate: math.NaN(), ErrorRatio: math.NaN(), BudgetLeft: math.NaN()}}
			p.Incident.Service, p.Incident.Title, p.Incident.Level = "支付", "支付失败率升高", alert.P2
			p.Evidence[0].Patterns[0].Template, p.Evidence[0].Patterns[0].Sample = "数据库连接池耗尽 <*>ms", "数据库连接池耗尽 3000ms"
		},
		"hostile": func(p *page.Page) {
			p.Incident.Service = "pay\r\nBcc: thief@evil.example\r\n\r\n<script>alert(1)</script>" + strings.Repeat(" x", 300)
			p.To.FullName = "Li\r\nX-Evil: 1\" <thief@evil.example>"
			p.Incident.Key, p.Kind = "k\r\nX-Evil: 1", "opened\r\nX-Evil: 1"
			p.SLO.Description = "</td></table><img src=x onerror=alert(1)>"
			p.SLO.Standings[1].Cluster = "<b>hang\u202ezhou</b>"
			p.Evidence[0].Patterns[0].Sample = "\x1b]0;t\x07<a href=\"http://evil.example\">tap</a>\x00\xff" + strings.Repeat("长", 3000)
			p.Link, p.SLO.Runbook = "javascript:alert(1)", "https://x.example/\"onclick=alert(1)"
		},
	}
}

func kindCases() map[string]func(*page.Page) {
	return map[string]func(*page.Page){
		"zh": func(p *page.Page) {
			p.Key, p.To.Language, p.AckLink, p.SLO.Period = "zh", "zh", "https://midwatch.example.com/ack/aGVsbG8", 30*24*time.Hour
			p.SLO.Standings[0].BurnRate, p.Kind = 2, page.Escalated
		},
		"drill": func(p *page.Page) { p.Key, p.Incident.Drill = "drill", true },
		"bundle": func(p *page.Page) {
			p.Key, p.Kind, p.Link, p.SLO, p.Evidence = "bundle", page.Bundle, "https://midwatch.example.com/incidents", page.SLO{}, nil
			p.Others = []page.Entry{
				{Kind: page.Opened, Incident: alert.Incident{ID: 14, Title: "disk is 91% full <b>", Level: alert.P3, Status: alert.Open, Since: p.At.Add(-time.Hour)}},
				{Kind: page.Opened, Incident: p.Incident, Link: "https://midwatch.example.com/incidents/12"},
			}
			p.Incident = alert.Incident{}
		},
		"report": func(p *page.Page) {
			p.Key, p.Kind, p.Link, p.SLO, p.Evidence, p.Incident = "report", page.Report, "https://midwatch.example.com/", page.SLO{}, nil, alert.Incident{}
			p.To.Language = "zh"
			p.Body = "# 错误预算\nSLO\t目标\t剩余\npayment-service/payment-availability\t99.95%\t61%\nsearch/latency\t99%\t−30%\n\n# 事件\n7 起，其中 P1 3 起\n夜间 2 起\n- #12 P1 payment-service\n- #13 P2 search <b>\n"
		},
	}
}

// head returns the header of a mail, which must be the same each time it is
// composed.
func head(t *testing.T, n *Notifier, p page.Page) string {
	t.Helper()
	var first string
	for range 5 {
		msg, err := n.compose(p, p.To.Address)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if _, err := msg.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = b.String()
		}
		if diff := cmp.Diff(first, b.String()); diff != "" {
			t.Fatalf("the same page makes another mail: %s", diff)
		}
	}
	parsed, err := mail.ReadMessage(strings.NewReader(first))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Bcc", "X-Evil"} {
		if parsed.Header.Get(name) != "" {
			t.Errorf("a header %s came in", name)
		}
	}
	for line := range strings.SplitSeq(first, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") {
			t.Errorf("a line that is no line of a mail: %q", line)
		}
	}
	text, _, _ := strings.Cut(first, "\r\n\r\n")
	return strings.ReplaceAll(text, "\r\n", "\n") + "\n"
}
