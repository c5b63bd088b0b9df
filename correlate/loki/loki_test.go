package loki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/page"
)

// shop pushes lines to a Loki under the labels cluster, namespace, app,
// container and level only.
type shop struct {
	t   *testing.T
	url string
}

// log pushes n lines from an instant on, a second apart. In lines, %d is the
// number of the line.
func (s shop) log(cluster, app, level string, from time.Time, n int, line string) {
	s.t.Helper()
	labels := map[string]string{"cluster": cluster, "namespace": "prod", "app": app, "container": app}
	if level != "" {
		labels["level"] = level
	}
	var values [][2]string
	for i := range n {
		text := strings.ReplaceAll(line, "%d", strconv.Itoa(1000+i))
		values = append(values, [2]string{strconv.FormatInt(from.Add(time.Duration(i)*time.Second).UnixNano(), 10), text})
	}
	body, err := json.Marshal(map[string]any{"streams": []any{map[string]any{"stream": labels, "values": values}}})
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("push: %s: %s", resp.Status, text)
	}
}

func jsonLine(code, message string) string {
	fields := map[string]string{
		"timestamp": "2026-11-21T03:00:00Z", "level": "ERROR", "traceId": "4bf92f3577b34da6a3ce929d0e0e%d", "spanId": "00f067aa0ba9%d",
		"service": "payment-service", "namespace": "prod", "pod": "payment-7d9f8b6c5-x2k4p", "node": "node-1", "message": message,
	}
	if code != "" {
		fields["errorCode"] = code
	}
	b, _ := json.Marshal(fields)
	return string(b)
}

// TestLoki asks one real Loki.
func TestLoki(t *testing.T) {
	server, err := servers.StartLoki(t.Context(), servers.LokiSpec{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now().Truncate(time.Second)
	since := now.Add(-2 * time.Minute) // the window is the last 12 minutes
	from, before := now.Add(-12*time.Minute), now.Add(-24*time.Minute)
	fill(shop{t, server.URL}, from, before, now)

	collect := func(t *testing.T, service, selector string, limit int) page.Evidence {
		t.Helper()
		s, err := New(Config{URL: server.URL, Limit: limit, Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s.Collect(t.Context(), alert.Incident{Service: service, Since: since, Alerts: []alert.Alert{
			{Labels: model.LabelSet{"cluster": "hangzhou"}}, {Labels: model.LabelSet{"cluster": "beijing"}},
		}}, selector)
	}
	// 0 reads every line; 30 fewer than there are in either window.
	for _, limit := range []int{0, 30} {
		t.Run(fmt.Sprintf("limit %d", limit), func(t *testing.T) {
			t.Run("json", func(t *testing.T) {
				check(t, collect(t, "payment-service", `{namespace="prod", app="payment-service"}`, limit), counts{
					{"TimeoutException: pool \"<*>\" of C:\\x 支付 is empty after <*>", 45, 2},
					{"edge <*>", 3, 2},
					{"slow query, <*> ms", 40, 41},
				})
			})
			t.Run("logfmt, by the service's name", func(t *testing.T) {
				check(t, collect(t, "logfmt-service", "", limit), counts{
					{"pool \"<*>\" is\\empty after <*>", 41, 0}, {"slow, <*>", 0 + 33, 40},
				})
			})
			t.Run("text, without level label", func(t *testing.T) {
				check(t, collect(t, "old-service", "", limit), counts{
					{"<*> ERROR boom <*> (x|y)", 40, 35},
				})
			})
		})
	}
	t.Run("no errors", func(t *testing.T) {
		if e := collect(t, "quiet-service", "", 0); e.Problem != "" || len(e.Patterns) != 0 {
			t.Errorf("evidence %+v", e)
		}
	})
	t.Run("no streams", func(t *testing.T) {
		want := `no log streams match {app="payments", cluster=~"beijing|hangzhou|"}`
		if e := collect(t, "", `{app="payments"}`, 0); e.Problem != want {
			t.Errorf("problem %q", e.Problem)
		}
	})
}

// fill writes what the cases of TestLoki count.
func fill(s shop, from, before, now time.Time) {
	const pay = "payment-service"
	pool := jsonLine("PAY-504", "TimeoutException: pool \"Hikari-%d\" of C:\\x 支付 is empty after 3%dms")
	s.log("hangzhou", pay, "error", before.Add(time.Minute), 2, pool)
	s.log("hangzhou", pay, "error", from.Add(9*time.Minute), 40, pool)
	s.log("beijing", pay, "error", from.Add(9*time.Minute), 5, pool)
	s.log("tencent", pay, "error", from.Add(9*time.Minute), 11, pool) // not of the incident
	s.log("hangzhou", pay, "error", before.Add(2*time.Minute), 41, jsonLine("", "slow query, %d ms"))
	s.log("hangzhou", pay, "error", from.Add(2*time.Minute), 40, jsonLine("", "slow query, %d ms"))
	s.log("hangzhou", pay, "info", from.Add(2*time.Minute), 50, jsonLine("", "no error, %d"))
	s.log("hangzhou", "other", "error", from.Add(2*time.Minute), 50, pool)
	edge := jsonLine("", "edge %d")
	for _, at := range []time.Time{
		before.Add(-1), before, from.Add(-1), // the second and third are in the time before
		from, from.Add(1), now.Add(-1), now, // all but the last are in the window
	} {
		s.log("hangzhou", pay, "error", at, 1, edge)
	}
	logfmt := `ts=2026-11-21T03:00:00Z level=error msg="pool \"p%d\" is\\empty after %dms" errorCode=E1`
	s.log("hangzhou", "logfmt-service", "error", from.Add(time.Minute), 41, logfmt)
	s.log("hangzhou", "logfmt-service", "error", before.Add(time.Minute), 40, `level=error msg="slow, %d"`)
	s.log("hangzhou", "logfmt-service", "error", from.Add(3*time.Minute), 33, `level=error msg="slow, %d"`)
	s.log("hangzhou", "old-service", "", before.Add(time.Minute), 35, "03:00:00 ERROR boom %d (x|y)")
	s.log("hangzhou", "old-service", "", from.Add(time.Minute), 40, "03:00:00 ERROR boom %d (x|y)")
	s.log("hangzhou", "old-service", "", from.Add(time.Minute), 40, "03:00:00 INFO no errors %d")
	s.log("hangzhou", "old-service", "", from.Add(3*time.Minute), 10, `{"level":"info","message":"error page %d shown"}`)
	s.log("hangzhou", "quiet-service", "info", from.Add(time.Minute), 3, "all is well %d")
}

type counts []struct {
	template      string
	count, before int
}

// check compares templates and counts, which must be exact, and looks at the
// samples.
func check(t *testing.T, e page.Evidence, want counts) {
	t.Helper()
	if e.Problem != "" || e.Source != "logs" || e.Window != 12*time.Minute {
		t.Errorf("evidence %+v", e)
	}
	var got, wanted []string
	for _, p := range e.Patterns {
		got = append(got, fmt.Sprintf("%s: %d, before %d, at least %t", p.Template, p.Count, p.Before, p.AtLeast))
		if p.Cluster != "hangzhou" && p.Cluster != "beijing" {
			t.Errorf("cluster %q", p.Cluster)
		}
		if json := strings.Contains(p.Template, "TimeoutException"); json && (p.Pod != "payment-7d9f8b6c5-x2k4p" || !strings.HasPrefix(p.TraceID, "4bf92f")) {
			t.Errorf("sample %+v", p)
		}
	}
	for _, w := range want {
		wanted = append(wanted, fmt.Sprintf("%s: %d, before %d, at least false", w.template, w.count, w.before))
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Error(diff)
	}
}
