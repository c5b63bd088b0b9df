package app_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
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
	for range 50 {
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
