package page

import (
	"maps"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/golden"
)

// outage is a page as a real outage makes it.
func outage() Page {
	at := time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC) // 03:02:31 in Shanghai
	return Page{
		Key: "12/opened/li.wei/wecom", Kind: Opened, At: at,
		To: Contact{User: "li.wei", FullName: "李伟", Channel: "wecom", Address: "LiWei", Timezone: "Asia/Shanghai"},
		Incident: alert.Incident{
			ID: 12, Key: "payment-service/payment-availability", Service: "payment-service", SLO: "payment-availability",
			Title: "error budget burns", Level: alert.P1, Status: alert.Open,
			Since: at.Add(-95 * time.Second), OpenedAt: at.Add(-2 * time.Second),
			Alerts: []alert.Alert{{Labels: model.LabelSet{"cluster": "hangzhou"}}, {Labels: model.LabelSet{"cluster": "beijing"}}},
		},
		SLO: SLO{
			Description: "Payments that the user asked for succeed.", Objective: "99.95", Window: "30d",
			Runbook: "https://runbooks.example.com/payments",
			Standings: []Standing{
				{Cluster: "beijing", ErrorRatio: 0.0002, BurnRate: 0.4, BudgetLeft: 0.912},
				{Cluster: "hangzhou", ErrorRatio: 0.0117, BurnRate: 23.4, BudgetLeft: -0.031},
			},
		},
		Evidence: []Evidence{{
			Source: "logs", Window: 10 * time.Minute, Link: "https://grafana.example.com/explore?left=%7B%7D",
			Patterns: []LogPattern{
				{Template: "TimeoutException: no connection from pool after <*>ms", Count: 412, Before: 3, AtLeast: true, Sample: "TimeoutException: no connection from pool after 3000ms", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", Cluster: "hangzhou", Pod: "payment-7d9c-x2x1"},
				{Template: "retry <*> of order <*>", Count: 37, Before: 30, Sample: "retry 2 of order 8812"},
			},
		}},
		Link: "https://midwatch.example.com/incidents/12",
	}
}

func TestTextGolden(t *testing.T) {
	cases := textCases()
	maps.Copy(cases, kindCases())
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			p := outage()
			change(&p)
			golden.File(t, "testdata/"+name+".golden", p.Text(0)+"\n")
			p.To.Language = "zh"
			golden.File(t, "testdata/"+name+".zh.golden", p.Text(0)+"\n")
		})
	}
}

// textCases are what a page of one kind can say.
func textCases() map[string]func(*Page) {
	return map[string]func(*Page){
		"opened": func(*Page) {},
		"again":  func(p *Page) { p.Kind, p.At = Again, p.At.Add(5*time.Minute) },
		"raised-acknowledged-stale": func(p *Page) {
			p.Kind, p.Incident.Status, p.Incident.AckedBy, p.Incident.Stale = Raised, alert.Acknowledged, "ana", true
			p.Incident.Since = p.At.Add(-26*time.Hour - 61*time.Minute)
		},
		"resolved": func(p *Page) {
			p.Kind, p.Incident.Status, p.Incident.ResolvedAt = Resolved, alert.Closed, p.At
		},
		"resolved-by": func(p *Page) {
			p.Kind, p.Incident.Status, p.Incident.ResolvedAt, p.Incident.ResolvedBy = Resolved, alert.Closed, p.At, "ana"
		},
		"no-evidence": func(p *Page) {
			p.Evidence = []Evidence{{Source: "logs", Problem: "loki: no answer within 3 s"}}
		},
		"some-evidence": func(p *Page) { p.Evidence[0].Problem = "only the newest 5000 lines were read" },
		"owner-and-links": func(p *Page) {
			p.SLO.Answers = "li.na@example.com, payments"
			p.SLO.Links = []SLOLink{{Title: "Dashboard", URL: "https://grafana.example.com/d/payments"}, {Title: "bad", URL: "javascript:alert(1)"}}
		},
		"quiet-logs": func(p *Page) { p.Evidence[0].Patterns = nil },
		"no-slo": func(p *Page) {
			*p = Page{
				Key: "k", Kind: Opened, At: p.At, To: Contact{User: "ana", Timezone: "Nowhere/Land"},
				Incident: alert.Incident{ID: 7, Title: "node 10.0.0.7 is down", Level: alert.P3, Status: alert.Open, Since: p.At.Add(-time.Hour)},
			}
		},
		"hostile": func(p *Page) {
			p.Incident.Service = "pay\nment\x1b[31m-<b>service</b>" + strings.Repeat("x", 500)
			p.Evidence[0].Patterns[0].Sample = "\x1b]0;title\x07a\u202egnp.exe\u2066 <a href=\"http://evil.example\">tap</a> \x00\xff e\u0301\u0301\u0301\u0301\u0301\u0301" + strings.Repeat("长", 5000)
			p.Evidence[0].Link = "javascript:alert(1)"
			p.SLO.Runbook = "https://runbooks.example.com/x\"onclick=y"
			p.SLO.Standings[0].BurnRate, p.SLO.Standings[0].ErrorRatio = math.NaN(), math.Inf(1)
		},
	}
}

// kindCases are the other kinds of pages, and what is seldom.
func kindCases() map[string]func(*Page) {
	return map[string]func(*Page){
		"escalated": func(p *Page) { p.Kind, p.At = Escalated, p.At.Add(5*time.Minute) },
		"called": func(p *Page) {
			p.Kind, p.Incident.Status, p.Incident.AckedBy = Called, alert.Acknowledged, "ana"
		},
		"reopened":     func(p *Page) { p.Kind, p.Incident.Reopened = Reopened, 3 },
		"updated":      func(p *Page) { p.Kind, p.Incident.Status, p.Incident.AckedBy = Updated, alert.Acknowledged, "ana" },
		"updated-over": func(p *Page) { p.Kind, p.Incident.Status, p.Incident.ResolvedAt = Updated, alert.Closed, p.At },
		"merged":       func(p *Page) { p.Kind, p.Incident.Status, p.Incident.MergedInto = Updated, alert.Closed, 14 },
		"muted-and-snoozed": func(p *Page) {
			p.Kind, p.Incident.Muted, p.Incident.SnoozedUntil = Updated, "silence 7c6a", p.At.Add(2*time.Hour)
		},
		"drill":          func(p *Page) { p.Incident.Drill = true },
		"drill-resolved": func(p *Page) { p.Kind, p.Incident.Drill, p.Incident.ResolvedAt = Resolved, true, p.At },
		"budget": func(p *Page) {
			p.SLO.Period = 30 * 24 * time.Hour
			p.SLO.Standings = append(p.SLO.Standings, // hangzhou has spent its budget already
				Standing{Cluster: "shenzhen", ErrorRatio: 0.0117, BurnRate: 23.4, BudgetLeft: 0.61}, // 720 h · 0.61 / 23.4 = 18.8 h
				Standing{Cluster: "chengdu", ErrorRatio: 0.001, BurnRate: 2, BudgetLeft: 0.3})       // 108 h
		},
		"acknowledge-by-link": func(p *Page) { p.AckLink = "https://midwatch.example.com/ack/aGVsbG8" },
		"many-alerts": func(p *Page) {
			p.SLO.Standings = nil
			p.Incident.Alerts = []alert.Alert{{State: alert.Firing}, {State: alert.Firing}, {State: alert.Resolved}}
		},
		"changes": func(p *Page) {
			p.Evidence = append(p.Evidence, Evidence{Source: "changes", Window: time.Hour, Patterns: []LogPattern{{Template: "payment-service v2.3.1 → v2.4.0 at 02:58:10"}}})
		},
		"bundle": func(p *Page) { p.Kind, p.Link, p.Others = Bundle, "https://midwatch.example.com/incidents", storm(*p) },
		"report": func(p *Page) { p.Kind, p.Body = Report, reportBody },
	}
}

// storm returns the incidents of a bundle, in no order.
func storm(p Page) []Entry {
	inc := func(id int64, level alert.Level, service, title string, ago time.Duration) Entry {
		return Entry{Kind: Opened, Link: "https://midwatch.example.com/incidents/" + strconv.FormatInt(id, 10), Incident: alert.Incident{
			ID: id, Service: service, Title: title, Level: level, Status: alert.Open, Since: p.At.Add(-ago),
		}}
	}
	over := inc(15, alert.P2, "search", "latency", time.Hour)
	over.Kind, over.Incident.ResolvedAt = Resolved, p.At
	return []Entry{
		inc(14, alert.P3, "", "disk of node 10.0.0.7 is 91% full", 26*time.Hour), over,
		inc(12, alert.P1, "payment-service", "error budget burns", 95*time.Second), inc(13, alert.P1, "checkout\u202e-service", "error budget burns", time.Minute),
	}
}

const reportBody = `# SLOs
SLO	Objective	Reached	Budget left
payment-service/payment-availability	99.95%	99.981%	61%
search/latency	99%	98.7%	−30%

# Incidents
7 incidents, 3 of them P1; acknowledged after 2 min (median), repaired after 31 min.
- #12 P1 payment-service: error budget burns, 41 min
- #13 P2 search: latency, 2 h

Nobody was paged at night.
`

// TestTopicIsTheSameAllTheTime, whatever burns how fast and whether it is over.
func TestTopicIsTheSameAllTheTime(t *testing.T) {
	p := outage()
	p.Incident.Title = "payment-availability burns its error budget"
	for lang, want := range map[string]string{"en": "P1 payment-service: error budget burns", "zh": "P1 payment-service: 错误预算消耗过快"} {
		p.To.Language = lang
		over := p
		over.Kind, over.Incident.Status, over.SLO = Resolved, alert.Closed, SLO{}
		if p.Topic() != want || over.Topic() != want || columns(want) > 40 {
			t.Errorf("got %q, and %q when it is over; want %q", p.Topic(), over.Topic(), want)
		}
	}
}

// TestGone works out when a budget is gone.
func TestGone(t *testing.T) {
	const day = 24 * time.Hour
	nan := math.NaN()
	for _, c := range []struct {
		burn, left float64
		period     time.Duration
		want       string
	}{
		{1, 1, 30 * day, "at this rate gone in 30 d"},
		{14.4, 1, 30 * day, "at this rate gone in 2 d 2 h"}, // 50 h: the Workbook's own figure is 2% an hour
		{144, 0.05, 30 * day, "at this rate gone in 15 min"},
		{0.99, 0.01, 30 * day, ""},
		{14, 0, 30 * day, ""},
		{14, -0.1, 30 * day, ""},
		{14, 0.5, 0, ""},
		{nan, 0.5, 30 * day, ""},
		{14, nan, 30 * day, ""},
		{math.Inf(1), 0.5, 30 * day, ""},
		{1e300, 0.5, 30 * day, "at this rate gone in 0 s"},
	} {
		p := outage()
		p.SLO.Period, p.SLO.Standings = c.period, []Standing{{Cluster: "hangzhou", BurnRate: c.burn, BudgetLeft: c.left}}
		if got := p.composer().gone(english()); got != c.want {
			t.Errorf("burn %v, left %v: got %q, want %q", c.burn, c.left, got, c.want)
		}
	}
}

// TestSubjectSaysAllInFortyColumns: a character of Chinese is two of them.
func TestSubjectSaysAllInFortyColumns(t *testing.T) {
	drill := func(p *Page) { p.Incident.Drill = true }
	bundle := func(p *Page) { p.Kind, p.Others = Bundle, storm(*p) }
	for _, c := range []struct {
		service, en, zh string
		change          func(*Page)
	}{
		{"payment-service", "P1 payment-service: budget burns 23×", "P1 payment-service: 错误预算 23 倍速消耗", nil},
		{"a-service-with-a-name-that-does-not-end", "P1 a-service-with-a-n…: budget burns 23×", "P1 a-service-with…: 错误预算 23 倍速消耗", nil},
		{"", "P1 payment-availabili…: budget burns 23×", "P1 payment-availa…: 错误预算 23 倍速消耗", nil},
		{"一个名字特别特别长的支付服务", "P1 一个名字特别特别长…: budget burns 23×", "P1 一个名字特别特…: 错误预算 23 倍速消耗", nil},
		{"pay", "Drill P1 pay: budget burns 23×", "演练 P1 pay: 错误预算 23 倍速消耗", drill},
		{"pay", "P1 payment-servi…: error budget burns +3", "P1 payment-servi…: error budget burns +3", bundle},
	} {
		p := outage()
		p.Incident.Service = c.service
		if c.change != nil {
			c.change(&p)
		}
		for lang, want := range map[string]string{"en": c.en, "zh-CN": c.zh} {
			p.To.Language = lang
			if got := p.Subject(); got != want || columns(got) > 40 {
				t.Errorf("%q: got %q of %d columns, want %q", c.service, got, columns(got), want)
			}
		}
	}
}

// TestTextFits cuts one page to every size.
func TestTextFits(t *testing.T) {
	p := outage()
	p.Evidence[0].Patterns[1].Sample = strings.Repeat("连接池", 90)
	whole := p.Text(0)
	links := p.Message().Links
	for limit := 1; limit <= len(whole)+10; limit++ {
		got := p.Text(limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("limit %d: %d bytes, valid %v", limit, len(got), utf8.ValidString(got))
		}
		for line := range strings.SplitSeq(got, "\n") {
			if _, url, ok := strings.Cut(line, ": https:"); ok && !strings.Contains(whole+"\n", url+"\n") {
				t.Fatalf("limit %d: a cut link in %q", limit, line)
			}
		}
		if limit >= 200 && !strings.Contains(got, links[0].URL) {
			t.Fatalf("limit %d: no link to the incident in\n%s", limit, got)
		}
		if limit >= 60 && !strings.HasPrefix(got, p.Subject()) {
			t.Fatalf("limit %d: no lead in\n%s", limit, got)
		}
	}
	if p.Text(len(whole)) != whole {
		t.Error("a page that fits is cut")
	}
}

// FuzzText lets every word of a page be anybody's.
func FuzzText(f *testing.F) {
	f.Add("payment-service", "a \x1b[31m sample", "https://example.com/", "Asia/Shanghai", 300, 23.0)
	f.Add("\u202e\xff", strings.Repeat("\u0301", 50), "javascript:x", "", 1, math.Inf(1))
	f.Fuzz(func(t *testing.T, name, sample, link, zone string, limit int, v float64) {
		p := outage()
		p.Incident.Service, p.Incident.Title, p.To.FullName, p.To.Timezone = name, sample, name, zone
		p.Evidence[0].Patterns[0] = LogPattern{Template: sample, Sample: name, TraceID: sample}
		p.Evidence[0].Link, p.Link, p.SLO.Runbook = link, link, link
		p.SLO.Standings[1] = Standing{Cluster: name, BurnRate: v, ErrorRatio: v, BudgetLeft: v}
		limit = max(0, min(limit, 5000))
		if limit%2 == 1 {
			p.To.Language, p.Kind, p.Body = "zh", []Kind{Bundle, Report, Updated}[limit%3], sample
			p.Others = []Entry{{Kind: Resolved, Incident: p.Incident, Link: link}}
		}
		got := p.Text(limit)
		if limit > 0 && len(got) > limit {
			t.Fatalf("%d bytes where %d fit", len(got), limit)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }) {
			t.Fatalf("not clean: %q", got)
		}
	})
}
