package robot

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMentions(t *testing.T) {
	for address, want := range map[string]string{
		"@all":                  "{true [] []}",
		"@group":                "{false [] []}",
		"LiWei":                 "{false [LiWei] []}",
		"b, a ,b":               "{false [a b] []}",
		"mobile:13800001111,LW": "{false [LW] [13800001111]}",
		"mobile:+86-138000011":  "{false [] [+86-138000011]}",
	} {
		if m, err := ParseMentions(address); err != nil || fmt.Sprint(m) != want {
			t.Errorf("%q: got %v, %v, want %s", address, m, err, want)
		}
	}
	for _, address := range []string{"", "  ", "a,,b", "<@all>", "a b", "mobile:x", "@everyone", "a\nb", strings.Repeat("x", 65), strings.Repeat("x,", 3) + "é"} {
		if m, err := ParseMentions(address); err == nil {
			t.Errorf("%q is %v", address, m)
		}
	}
	var many []string
	for i := range maxMentions + 1 {
		many = append(many, fmt.Sprint("u", i))
	}
	if _, err := ParseMentions(strings.Join(many, ",")); err == nil {
		t.Error("there is no end to mentions")
	}
}

var wecom = Dialect{Break: "\n", Heading: "### ", Quote: "> "}

func long() page.Page { return notifytest.Provider{Address: "LiWei"}.Page("key", true) }

var links = regexp.MustCompile(`\[[^\]]*\]\([^)]*\)`)

// TestMarkdownFits cuts one page to every size: what is left is whole.
func TestMarkdownFits(t *testing.T) {
	p := long()
	p.SLO.Runbook = "https://runbooks.example.com/a(b)c"
	whole := Markdown(p, wecom, "<@LiWei>", 0)
	known := links.FindAllString(whole, -1)
	if len(known) != 2 || !strings.Contains(whole, "https://runbooks.example.com/a%28b%29c)") {
		t.Fatalf("links %q in\n%s", known, whole)
	}
	for limit := 20; limit <= len(whole)+10; limit += 1 + limit/300 {
		got := Markdown(p, wecom, "<@LiWei>", limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("limit %d: %d bytes", limit, len(got))
		}
		found := links.FindAllString(got, -1)
		if strings.Count(got, "](") != len(found) || slices.ContainsFunc(found, func(l string) bool { return !slices.Contains(known, l) }) {
			t.Fatalf("limit %d: a cut link in\n%s", limit, got)
		}
		if strings.Count(got, "**")%2 != 0 || strings.Count(got, "<@") != strings.Count(got, "<@LiWei>") {
			t.Fatalf("limit %d: cut markup in\n%s", limit, got)
		}
		if limit >= 200 && !strings.Contains(got, "(https://midwatch.example.com/incidents/12)") {
			t.Fatalf("limit %d: no link to the incident in\n%s", limit, got)
		}
	}
	if Markdown(p, wecom, "<@LiWei>", len(whole)) != whole {
		t.Error("a message that fits is cut")
	}
}

func TestBundleAndReport(t *testing.T) {
	p := page.Page{
		Kind: page.Bundle, Link: "https://midwatch.example.com/incidents", At: long().At,
		Others: []page.Entry{{Kind: page.Opened, Incident: alert.Incident{ID: 1, Service: "a", Title: "[x](y)", Level: alert.P1}, Link: "https://midwatch.example.com/incidents/1"}},
	}
	if got := Markdown(p, wecom, "", 0); !strings.Contains(got, "- [P1 a: ［x］(y)](https://midwatch.example.com/incidents/1)") {
		t.Errorf("a bundle:\n%s", got)
	}
	p = page.Page{Kind: page.Report, At: p.At, Body: "# SLOs\npayment\t99.9%\n- one\nplain"}
	if got := Markdown(p, wecom, "", 0); !strings.Contains(got, "**SLOs**\n- payment | 99.9%\n\n- one\n\nplain") {
		t.Errorf("a report:\n%s", got)
	}
}

func TestFit(t *testing.T) {
	body, err := Fit(1000, 2000, func(room int) ([]byte, error) { return []byte(strings.Repeat("x", room+300)), nil })
	if err != nil || len(body) > 1000 || len(body) < 800 {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if _, err := Fit(100, 2000, func(int) ([]byte, error) { return make([]byte, 101), nil }); err == nil {
		t.Error("what cannot fit fits")
	}
}

// FuzzMarkdown lets every word of a page be anybody's.
func FuzzMarkdown(f *testing.F) {
	f.Add("payment-service", "<@all> **a** [tap](http://evil.example)", 300)
	f.Add("`x`\x00\xff", "<font color=\"warning\">@13800001111</font> <at id=all></at>\n# h", 4096)
	f.Fuzz(func(t *testing.T, name, sample string, limit int) {
		p := long()
		p.Incident.Service, p.Incident.Title, p.To.FullName = name, sample, name
		p.Evidence = []page.Evidence{{Source: name, Problem: name}, {Source: name, Patterns: []page.LogPattern{{Template: sample, Sample: name, TraceID: sample}}}}
		limit = max(50, min(limit, 5000))
		got := Markdown(p, wecom, "", limit)
		if len(got) > limit || !utf8.ValidString(got) {
			t.Fatalf("%d bytes where %d fit, valid %v", len(got), limit, utf8.ValidString(got))
		}
		if strings.ContainsAny(links.ReplaceAllString(got, ""), "<[]`~@&\\") || strings.Count(got, "*")%2 != 0 {
			t.Fatalf("markup that nobody wrote:\n%s", got)
		}
	})
}
