package page

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/alert"
)

// Whatever an alert and its figures say, the first 40 columns of the lead
// have the level, something of the service, and something of the symptom, and
// the message is small.
func TestLeadsOfOddIncidents(t *testing.T) {
	now := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	long := func(s string) string { return strings.Repeat(s, 100) }
	for _, service := range []string{"", "payments", long("支付服务"), long("👩‍👩‍👧‍👦"), long("خدمة"), long("e\u0301\u0301\u0301\u0301\u0301"), "\x00\u202e\u200b", "\xff\xfe", long("<a>")} {
		for _, title := range []string{"", "Down", long("数据库不可用"), long("🔥"), "\u202eevil\u202c", long("\u0301")} {
			for _, rate := range []float64{math.NaN(), math.Inf(1), -5, 0, 14.4, math.MaxFloat64} {
				for _, kind := range []Kind{Opened, Resolved, Bundle} {
					p := Page{
						Kind: kind, At: now, To: Contact{User: "li.na", Language: "zh"},
						Incident: alert.Incident{ID: 1, Level: alert.P1, Service: service, Title: title, Since: now.Add(time.Hour), Drill: true},
						SLO:      SLO{Objective: "99.9", Period: time.Duration(math.MaxInt64), Standings: []Standing{{Cluster: service, BurnRate: rate, ErrorRatio: rate, BudgetLeft: -rate}}},
					}
					p.Others = []Entry{{Kind: Opened, Incident: p.Incident}, {Kind: Opened, Incident: p.Incident}}
					lead := p.Subject()
					if !utf8.ValidString(lead) || strings.ContainsAny(lead, "\n\r\x00\u202e") || !strings.Contains(lead, "P1") {
						t.Errorf("the lead of service %.20q, title %.20q is %q", service, title, lead)
					}
					if n := len(p.Text(0)); n > 8000 {
						t.Errorf("the text of service %.20q, title %.20q, rate %g has %d bytes", service, title, rate, n)
					}
					if strings.Contains(lead, strings.Repeat("0", 20)) {
						t.Errorf("the lead of rate %g is %q", rate, lead)
					}
				}
			}
		}
	}
}

func TestFiguresThatAreOutOfReach(t *testing.T) {
	for v, want := range map[float64]string{1e18: "1e+18×", math.MaxFloat64: "1.8e+308×", -2.5e7: "−2.5e+07×", 999_999: "999999×"} {
		if got := Rate(v); got != want {
			t.Errorf("%g is %s, want %s", v, got, want)
		}
	}
}

// A template's format cannot ask for more room than it may have.
func TestATemplateCannotPadWithoutEnd(t *testing.T) {
	for _, text := range []string{
		`{{printf "` + strings.Repeat("%1000000[1]d", 500) + `" 1}}`,
		`{{printf "` + strings.Repeat("%[1]*[2]d", 500) + `" 1000000 2}}`,
		`{{printf "` + strings.Repeat("%.1000000[1]f", 500) + `" 1}}`,
	} {
		file := filepath.Join(t.TempDir(), "page.tmpl")
		if err := os.WriteFile(file, []byte(`{{define "page.text"}}`+text+`{{end}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := LoadTemplates([]string{file})
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; err == nil || used > 64<<20 {
			t.Errorf("%.40s…: the error is %v after %d MiB", text, err, used>>20)
		}
	}
}
