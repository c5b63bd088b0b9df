package app_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/wecom"
)

// An override that somebody made holds through every reload: nobody is paged
// by the files for the length of one.
func TestReloadsUnderLoadPageWhoIsOnCall(t *testing.T) {
	w := start(t)
	w.write(t, "oncall.yaml", strings.Replace(oncallFile, "schedules:", `  - name: wang.wei
    full_name: Wang Wei
    contacts: [{channel: wecom, address: WangWei}]
schedules:`, 1))
	w.reload(t)
	override := fmt.Sprintf(`{"schedule":"payments","user":"wang.wei","until":%q,"reason":"swap"}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if status, text := w.post(t, "/api/v1/overrides", override, "the-token-of-the-test"); status != http.StatusOK {
		t.Fatalf("the override is answered %d %s", status, text)
	}
	const services = 8 // fewer than are bundled
	var all sync.WaitGroup
	all.Go(func() {
		for i := range services {
			body := fmt.Sprintf(`[{"labels":{"alertname":"Down","service":"service-%d","severity":"P2","cluster":"hangzhou"}}]`, i)
			if status, text := w.post(t, "/api/v2/alerts", body, ""); status != http.StatusOK {
				t.Errorf("alerts are answered %d %s", status, text)
			}
		}
	})
	stop := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, text := w.get(t, "/api/v1/oncall"); !strings.Contains(text, `"wang.wei"`) {
				t.Errorf("while it reloads, on call is %s", text)
				return
			}
		}
	})
	for range 20 {
		w.reload(t)
	}
	all.Wait()
	close(stop)
	watch.Wait()
	until(t, "everything is paged", func() bool {
		paged := map[string]bool{}
		for _, m := range w.provider.Messages() {
			for i := range services {
				if strings.Contains(m.Text, fmt.Sprintf("service-%d:", i)) {
					paged[fmt.Sprint(i)] = true
				}
			}
			if !strings.EqualFold(m.To, "WangWei") {
				t.Fatalf("%s is paged, who is not on call: %s", m.To, m.Text)
			}
		}
		return len(paged) == services
	})
}

func (w *world) reload(t *testing.T) {
	t.Helper()
	if status, text := w.post(t, "/-/reload", "", "the-token-of-the-test"); status != http.StatusOK {
		t.Fatalf("reload is answered %d %s", status, text)
	}
}

// A page that waits for a channel which a reload takes away is listed as one
// that went nowhere, and goes to the person's next contact; where the person
// is gone too, whoever is on call now is told.
func TestAChannelThatIsTakenAwayLosesNoPage(t *testing.T) {
	for name, tt := range map[string]struct {
		oncall string
		page   string // that comes by the channel that is left
	}{
		"another contact": {oncallFile, "P2 payments"},
		"another person":  {strings.NewReplacer("li.na", "wang.wei", "Li Na", "Wang Wei", "LiNa", "WangWei").Replace(oncallFile), "P2 midwatch"},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t)
			down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
			defer down.Close()
			config := w.read(t, "midwatch.yaml")
			w.write(t, "midwatch.yaml", strings.Replace(config, "notifiers:\n", "notifiers:\n  hook: {type: webhook, url: \""+down.URL+"\"}\n", 1))
			w.write(t, "oncall.yaml", strings.Replace(oncallFile, "channel: wecom, address: LiNa", "channel: hook, address: li.na", 1))
			w.reload(t)
			alerts := `[{"labels":{"alertname":"Down","service":"payments","severity":"P2","cluster":"hangzhou"}}]`
			if status, text := w.post(t, "/api/v2/alerts", alerts, ""); status != http.StatusOK {
				t.Fatalf("alerts are answered %d %s", status, text)
			}
			until(t, "the page waits", func() bool { _, text := w.get(t, "/api/v1/delivery"); return strings.Contains(text, "503") })
			w.write(t, "midwatch.yaml", config)
			w.write(t, "oncall.yaml", tt.oncall)
			w.reload(t)
			until(t, "a page through the channel that is left", func() bool {
				return slices.ContainsFunc(w.provider.Messages(), func(m wecom.Message) bool { return strings.Contains(m.Text, tt.page) })
			})
			if _, text := w.get(t, "/api/v1/deadpages"); !strings.Contains(text, "no channel of this name is configured") {
				t.Errorf("the page that went nowhere is not listed: %s", text)
			}
		})
	}
}

func (w *world) read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
