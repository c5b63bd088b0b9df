package notifytest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/page"
)

// Page returns a page to the provider's person, whose words are all of the
// size that makes it long.
func (p Provider) Page(key string, long bool) page.Page {
	at := time.Date(2026, 11, 21, 19, 2, 31, 0, time.UTC)
	pg := page.Page{
		Key: key, Kind: page.Opened, At: at, Link: "https://midwatch.example.com/incidents/12",
		To: page.Contact{User: "li.wei", FullName: "李伟", Channel: p.Channel, Address: p.Address, Timezone: "Asia/Shanghai"},
		Incident: alert.Incident{
			ID: 12, Service: "payment-service", SLO: "payment-availability", Title: "error budget burns",
			Level: alert.P1, Status: alert.Open, Since: at.Add(-time.Minute),
			Alerts: []alert.Alert{{Labels: model.LabelSet{"cluster": "hangzhou"}, StartsAt: at.Add(-time.Minute), EndsAt: at.Add(time.Hour), State: alert.Firing}},
		},
		SLO: page.SLO{Description: "A promise (" + key + ").", Objective: "99.95", Window: "30d", Standings: []page.Standing{{Cluster: "hangzhou", BurnRate: 23, ErrorRatio: 0.0117, BudgetLeft: 0.61}}},
	}
	if long {
		lines := []page.LogPattern{}
		for range 3 {
			lines = append(lines, page.LogPattern{Template: strings.Repeat("连接池耗尽", 100), Sample: strings.Repeat("数据库超时", 100), Count: 412, Before: 3})
		}
		pg.Evidence = []page.Evidence{{Source: "logs", Window: time.Hour, Patterns: lines}}
	}
	return pg
}

func kinds() []page.Kind {
	return []page.Kind{
		page.Opened, page.Again, page.Raised, page.Resolved, page.Escalated, page.Called, page.Reopened, page.Updated, page.Bundle, page.Report,
	}
}

// PageOf returns a page of a kind.
func (p Provider) PageOf(kind page.Kind, key string) page.Page {
	pg := p.Page(key, false)
	pg.Kind = kind
	switch kind {
	case page.Resolved:
		pg.Incident.Status, pg.Incident.ResolvedAt = alert.Closed, pg.At
	case page.Updated:
		pg.Incident.Status, pg.Incident.AckedBy = alert.Acknowledged, "ana"
	case page.Bundle:
		pg.Others = storm(pg, 3)
		pg.Incident, pg.SLO = alert.Incident{}, page.SLO{}
	case page.Report:
		pg.Body = "# Incidents\n- 7 of them\nSLO\tLeft\npayments\t61%\n"
		pg.Incident, pg.SLO = alert.Incident{}, page.SLO{}
	default:
	}
	return pg
}

// storm returns n incidents, the P1 first.
func storm(pg page.Page, n int) []page.Entry {
	entries := []page.Entry{{Kind: page.Opened, Incident: pg.Incident, Link: pg.Link}}
	for i := range n - 1 {
		entries = append(entries, page.Entry{Kind: page.Opened, Incident: alert.Incident{
			ID: int64(20 + i), Title: fmt.Sprintf("disk %d is 91%% full", i), Level: alert.P3, Status: alert.Open, Since: pg.At.Add(-time.Hour),
			Alerts: []alert.Alert{{Labels: model.LabelSet{"alertname": "DiskFull"}, StartsAt: pg.At.Add(-time.Hour), EndsAt: pg.At.Add(time.Hour), State: alert.Firing}},
		}})
	}
	return entries
}

// deliver sends a page and returns what it is delivered as.
func deliver(t *testing.T, p Provider, pg page.Page) (d Delivery, ref string) {
	t.Helper()
	before := len(p.Delivered())
	ref, err := p.Notifier.Send(t.Context(), pg)
	if err != nil {
		t.Fatal(err)
	}
	const most = 4096 // bytes of a reference
	if len(ref) > most || !utf8.ValidString(ref) {
		t.Errorf("a reference of %d bytes: %.200q", len(ref), ref)
	}
	noSecret(t, p, ref)
	got := p.Delivered()[before:]
	if want := p.messages(pg); len(got) != want {
		t.Fatalf("%s: %d messages, want %d", pg.Key, len(got), want)
	}
	for _, more := range got[1:] {
		got[0].Text += "\n" + more.Text
		got[0].Raw += more.Raw
	}
	return got[0], ref
}

func (p Provider) messages(pg page.Page) int {
	if p.Machine && pg.Kind == page.Bundle {
		return len(pg.Others)
	}
	return 1
}

// has fails where parts are not in the text, in their order.
func has(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("%q is not in, or not in its place in\n%s", part, text)
			return
		}
		rest = after
	}
}

func kindArrives(t *testing.T, p Provider, kind page.Kind) {
	pg := p.PageOf(kind, string(kind))
	d, _ := deliver(t, p, pg)
	if p.Machine && kind == page.Bundle {
		has(t, d.Text, "payment-service", "disk 0 is 91% full", "disk 1 is 91% full")
		return
	}
	want := map[page.Kind][]string{
		page.Opened:    {"P1 payment-service: budget burns 23×"},
		page.Again:     {"P1 payment-service: budget burns 23×", "Sent again at 03:02:31 Asia/Shanghai"},
		page.Raised:    {"P1 payment-service: budget burns 23×", "Raised to P1."},
		page.Resolved:  {"Resolved P1 payment-service: after 1 min", "Resolved at 03:02:31 Asia/Shanghai"},
		page.Escalated: {"P1 payment-service: budget burns 23×", "Escalated to you at 03:02:31 Asia/Shanghai"},
		page.Called:    {"P1 payment-service: budget burns 23×", "Called at 03:02:31 Asia/Shanghai"},
		page.Reopened:  {"P1 payment-service: budget burns 23×", "Reopened at 03:02:31 Asia/Shanghai"},
		page.Updated:   {"P1 payment-service: budget burns 23×", "Acknowledged by ana."},
		page.Bundle:    {"P1 payment-servi…: error budget burns +2", "disk 0 is 91% full", "disk 1 is 91% full"},
		page.Report:    {"Weekly report 2026-11-22", "Incidents", "7 of them", "payments", "61%"},
	}
	has(t, d.Text, want[kind]...)
}

func chinese(t *testing.T, p Provider) {
	pg := p.PageOf(page.Again, "zh")
	pg.To.Language = "zh"
	d, _ := deliver(t, p, pg)
	has(t, d.Text, "P1 payment-service: 错误预算 23 倍速消耗", "03:02:31 Asia/Shanghai 再次通知")
}

func drill(t *testing.T, p Provider) {
	for language, want := range map[string]string{"en": "Drill P1 payment-se", "zh": "演练 P1 payment-se"} {
		pg := p.PageOf(page.Opened, "drill "+language)
		pg.Incident.Drill, pg.To.Language = true, language
		d, _ := deliver(t, p, pg)
		has(t, d.Text, want)
	}
}

func bundle(t *testing.T, p Provider) {
	pg := p.PageOf(page.Bundle, "bundle")
	pg.Others = storm(p.Page("bundle", false), 90)
	d, _ := deliver(t, p, pg)
	if !p.Machine {
		has(t, d.Text, "P1 payment-serv…: error budget burns +89")
	}
	has(t, d.Text, "P1 payment-service: error budget burns", "disk 0 is 91% full", "disk 1 is 91% full")
	if p.Limit > 0 && len(d.Text) > p.Limit || !utf8.ValidString(d.Text) {
		t.Errorf("%d bytes where %d fit", len(d.Text), p.Limit)
	}
}

// harmless writes what does harm elsewhere into every text that is not ours.
func harmless(t *testing.T, p Provider) {
	const controls = "\x1b[31m\x00\a\u202eexe.\u2066\u200f\xff"
	for i, markup := range append([]string{""}, p.Markup...) {
		hostile := controls + markup + " x"
		pg := p.Page(fmt.Sprint("hostile ", i), false)
		pg.Incident.Service, pg.Incident.Title, pg.To.FullName, pg.SLO.Description = "pay"+hostile, hostile, hostile, hostile+pg.Key
		pg.Incident.Alerts[0].Labels["cluster"] = model.LabelValue("hang" + hostile)
		pg.SLO.Standings[0].Cluster = hostile
		pg.Evidence = []page.Evidence{{Source: "logs", Patterns: []page.LogPattern{{Template: hostile, Sample: hostile, Pod: hostile, Count: 1}}}}
		pg.SLO.Runbook = "javascript:alert(1)"
		for _, kind := range []page.Kind{page.Opened, page.Bundle, page.Report} {
			pg.Kind, pg.Others, pg.Body = kind, storm(pg, 2), "# "+hostile+"\n- "+hostile+"\n"+hostile+"\t"+hostile+"\n"
			pg.Key += " " + string(kind)
			d, _ := deliver(t, p, pg)
			isHarmless(t, d, markup)
		}
	}
}

func isHarmless(t *testing.T, d Delivery, markup string) {
	t.Helper()
	for _, text := range []string{d.Text, d.Raw} {
		if i := strings.IndexFunc(text, func(r rune) bool {
			return r != '\n' && r != '\r' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
		}); i >= 0 {
			t.Errorf("a control character is in %q", text[i:min(len(text), i+40)])
		}
		if markup != "" && strings.Contains(text, markup) {
			t.Errorf("%q is in\n%s", markup, text)
		}
		if strings.Contains(text, "javascript:") {
			t.Errorf("a link that is a script is in\n%s", text)
		}
	}
}

// edits is about notifiers that change what they have sent: a page of the
// kind updated does that and notifies nobody, any other notifies again, also
// when the reference is of no use any more.
func edits(t *testing.T, p Provider) {
	if e, ok := p.Notifier.(notifiers.Editor); !ok || !e.Edits() || p.Machine {
		return
	}
	first := p.PageOf(page.Opened, "first")
	_, ref := deliver(t, p, first)
	if ref == "" {
		t.Fatal("no reference to a message that can be changed")
	}
	sent := len(p.Delivered())
	update := p.PageOf(page.Updated, "update")
	update.Ref = ref
	again, err := p.Notifier.Send(t.Context(), update)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Delivered(); len(got) != sent {
		t.Errorf("an update notified: %d messages where %d were", len(got), sent)
	} else {
		has(t, got[sent-1].Text, "Acknowledged by ana.")
	}
	for i, kind := range []page.Kind{page.Again, page.Escalated, page.Called, page.Reopened, page.Raised} {
		pg := p.PageOf(kind, "edit "+string(kind))
		if pg.Ref = again; i == 4 {
			pg.Ref = "of nothing that there is"
		}
		before := p.Delivered()
		if again, err = p.Notifier.Send(context.WithoutCancel(t.Context()), pg); err != nil {
			t.Fatal(err)
		}
		if got := p.Delivered(); len(got) <= len(before) || !slices.ContainsFunc(got[len(before):], func(d Delivery) bool { return strings.EqualFold(d.To, p.Address) }) {
			t.Errorf("%s: nobody was notified", kind)
		}
	}
}
