package wecom

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestCardGolden(t *testing.T) {
	for name, change := range map[string]func(*page.Page){
		"opened":    func(*page.Page) {},
		"opened.zh": func(p *page.Page) { p.To.Language = "zh" },
		"acknowledged": func(p *page.Page) {
			p.Incident.Status, p.Incident.AckedBy, p.Incident.AckedAt = alert.Acknowledged, "ana", p.At
		},
		"long": func(p *page.Page) {
			*p = notifytest.Provider{Address: "LiWei"}.Page(strings.Repeat("很长", 200), true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := pageTo("LiWei", "golden")
			p.SLO.Runbook = "https://runbooks.example.com/payments"
			p.Evidence = []page.Evidence{{Source: "logs", Window: 10 * time.Minute, Link: "https://grafana.example.com/explore", Patterns: []page.LogPattern{
				{Template: "TimeoutException: no connection from pool after <*>ms", Count: 412, Before: 3},
			}}}
			change(&p)
			b, err := json.MarshalIndent(newCard(p), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.File(t, "testdata/"+name+".card.json", string(b)+"\n")
		})
	}
}

// FuzzCard lets every word of a page be anybody's: a card is what the provider
// takes, whatever it says.
func FuzzCard(f *testing.F) {
	f.Add("payment-service", "a \x1b[31m sample", "https://example.com/", "Asia/Shanghai")
	f.Add("\u202e\xff", strings.Repeat("长", 3000), "javascript:x", ":::\n")
	f.Fuzz(func(t *testing.T, name, sample, link, timezone string) {
		p := pageTo("LiWei", name)
		p.Incident.Service, p.Incident.Title, p.To.FullName, p.To.Timezone, p.Link, p.SLO.Runbook = name, sample, name, timezone, link, link
		p.Evidence = []page.Evidence{{Source: name, Patterns: []page.LogPattern{{Template: sample, Count: 1}}}}
		c := newCard(p)
		if len(c.Rows) > maxRows || len(c.Buttons) != 2 || len(c.TaskID) > 128 || utf8.RuneCountInString(c.MainTitle.Title) > maxTitle {
			t.Fatalf("%+v", c)
		}
		for _, b := range c.Buttons {
			if o, ok := parseOrder(b.Key); len(b.Key) <= 1024 && (!ok || o.Incident != 12) {
				t.Fatalf("a button's key %q", b.Key)
			}
		}
	})
}

func TestEveryKeyOfTheConfigurationIsRead(t *testing.T) {
	f, err := yamldoc.Parse("midwatch.yaml", []byte(`
wecom: {api_url: https://a, corp_id: ww, agent_id: 1, secret: s, secret_file: f, timeout: 3s, message: card, callback: {token: t, token_file: f, aes_key: k, aes_key_file: f}}
wecom_robot: {api_url: https://a, timeout: 3s, key: k, key_file: f, message: text}
`))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		WeCom Config      `yaml:"wecom"`
		Robot RobotConfig `yaml:"wecom_robot"`
	}
	if problems := f.Decode(f.Docs[0], &c); len(problems) > 0 {
		t.Fatal(problems)
	}
	if c.WeCom.Callback.AESKey.Reveal() != "k" || c.Robot.Timeout != 3*time.Second || c.Robot.APIURL != "https://a" || c.Robot.Key.Reveal() != "k" {
		t.Errorf("got %+v", c)
	}
}
