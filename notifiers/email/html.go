package email

import (
	"bytes"
	_ "embed"
	"html/template"
	"slices"
	"strings"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

//go:embed mail.html
var mailHTML string

// words are the phrases that mails have beside the page's, in one language.
type words struct {
	Lang                                        string
	Cluster, BurnRate, ErrorRatio, BudgetLeft   string
	OpenIncident, Open, Footer, NoAnswer, Chart string
	over                                        string
}

func wordsOf(p page.Page) words {
	if p.To.Lang() == "zh" {
		return words{
			Lang: "zh-CN", Cluster: "集群", BurnRate: "消耗速率", ErrorRatio: "错误率（5 分钟）", BudgetLeft: "预算剩余",
			OpenIncident: "查看故障详情", Open: "打开 Midwatch", Footer: "本邮件由 Midwatch 发送至 ", NoAnswer: "，请勿直接回复。",
			Chart: "各集群的剩余预算与消耗速率（竖线为 1×）", over: "已恢复",
		}
	}
	return words{
		Lang: "en", Cluster: "Cluster", BurnRate: "Burn rate", ErrorRatio: "Errors, 5 min", BudgetLeft: "Budget left",
		OpenIncident: "Open the incident", Open: "Open Midwatch", Footer: "Sent by Midwatch to ", NoAnswer: ". Answers are not read.",
		Chart: "Budget left and burn rate of each cluster (the line is at 1×)", over: "resolved",
	}
}

// view is what the HTML part shows.
type view struct {
	page.Message
	Words     words
	Image     template.URL // of the picture, "" when there is none
	Colour    template.CSS
	Preview   string
	Clusters  []cluster
	Named     bool        // the clusters have names
	Incident  string      // the link to its page, "" when there is none that is safe
	Elsewhere []page.Link // the other links
	To        string
}

func render(p page.Page) (string, error) {
	v := view{Message: p.Message(), Words: wordsOf(p), Colour: colour(p), Clusters: clusters(p.SLO.Standings), To: oneLine(p.To.Address, maxName)}
	v.Preview = preview(v.Message)
	if len(v.Clusters) > 0 {
		v.Image = template.URL("cid:" + p.ChartID())
	}
	if p.Kind == page.Bundle || p.Kind == page.Report {
		v.Words.OpenIncident = v.Words.Open
	}
	v.Named = slices.ContainsFunc(v.Clusters, func(c cluster) bool { return c.Name != "" })
	for _, l := range v.Links {
		if l.URL == p.Link {
			v.Incident = l.URL
		} else if len(v.Elsewhere) < maxElsewhere {
			v.Elsewhere = append(v.Elsewhere, l)
		}
	}
	t, err := template.New("mail").Parse(mailHTML)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.String(), err
}

// preview is what matters most after the subject: how things are now, what is
// unusual, how the worst cluster stands, and what its logs say.
func preview(m page.Message) string {
	parts := append([]string{m.Lead}, m.Notices...)
	if len(m.Standings) > 0 {
		parts = append(parts, m.Standings[0])
	}
	for _, f := range m.Findings {
		if len(f.Patterns) > 0 {
			parts = append(parts, f.Patterns[0].Text)
			break
		}
	}
	return oneLine(strings.Join(parts, " · "), maxPreview)
}

// colour tells the level at a glance.
func colour(p page.Page) template.CSS {
	switch {
	case over(p):
		return "#2e7d4f"
	case p.Level() == alert.P1:
		return "#c3281e"
	case p.Level() == alert.P2:
		return "#e2a139"
	}
	return "#8b95a1"
}

// section is blocks of a report that belong together, such as the rows of a
// table.
type section struct {
	Style  page.BlockStyle
	Blocks []page.Block
}

// Sections returns a report's blocks by what they belong to.
func (v view) Sections() (all []section) {
	for _, b := range v.Body {
		if b.First || len(all) == 0 || b.Style == page.Heading {
			all = append(all, section{Style: b.Style})
		}
		last := &all[len(all)-1]
		last.Blocks = append(last.Blocks, b)
	}
	return all
}
