package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
)

const minimal = `external_url: http://midwatch.test
slo_files: [slo.yaml]
oncall_files: [oncall.yaml]
clusters: [{name: hangzhou, urls: ["http://127.0.0.1:1"]}]
notifiers:
  email: {smarthost: "127.0.0.1:1", from: midwatch@example.com}
api:
  tokens: [{name: test, token: the-token-of-the-test}]
`

const minimalSLO = `apiVersion: midwatch.dev/v1
kind: ServiceLevelObjective
metadata: {name: availability}
spec:
  service: payments
  objective: 99.9
  window: 30d
  sli: {events: {errors: errors_total, total: requests_total}}
`

const minimalOnCall = `apiVersion: midwatch.dev/v1
kind: OnCall
users:
  - {name: li.na, contacts: [{channel: email, address: li.na@example.com}]}
schedules:
  - name: all
    timezone: UTC
    rotation: {handoff: "0 10 * * mon", start: "2026-11-16T10:00", participants: [li.na]}
default_schedule: all
`

// Whoever supervises the process can only start it again when it ends.
func TestRunEndsWhenItCannotServe(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"midwatch.yaml": minimal, "slo.yaml": minimalSLO, "oncall.yaml": minimalOnCall} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	a, err := New(t.Context(), Options{ConfigFile: filepath.Join(dir, "midwatch.yaml"), ListenAddress: "127.0.0.1:0", Logger: promslog.NewNopLogger()})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.listener.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(t.Context()) }()
	select {
	case err := <-done:
		if err == nil {
			t.Error("it ended without an error")
		}
	case <-time.After(20 * time.Second):
		t.Error("it serves nobody and goes on")
	}
}
