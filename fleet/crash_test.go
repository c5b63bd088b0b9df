package fleet_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/fleet"
)

// childDir tells the test binary to be a fleet that is going to be killed.
const childDir = "MIDWATCH_FLEET_CHILD"

// child runs a fleet whose budget burns, and says when its alert is recorded
// to wait, until it is killed.
func child() {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	w := newWorld([]string{"a"}, "one")
	w.value = failing(map[string]float64{"one": 0.5})
	f, err := fleet.New(context.Background(), w.config(dir))
	if err == nil {
		err = f.Update(burning(10*time.Second), []string{"a"})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() { _ = f.Run(context.Background()) }()
	for range time.Tick(50 * time.Millisecond) {
		for _, g := range f.RuleGroups() {
			for _, r := range g.AlertingRules() {
				if r.Restored() && r.ActiveAlertsCount() > 0 && time.Since(r.ActiveAlerts()[0].ActiveAt) > 3*time.Second {
					fmt.Println("waiting")
				}
			}
		}
	}
}

// After a kill -9 the folder opens, what was recorded is there, and an alert
// goes on to wait where it was.
func TestKilledFleetGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "waiting" {
		t.Fatalf("the child says %q", lines.Text())
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	killed := time.Now()
	w := newWorld([]string{"a"}, "one")
	w.value = failing(map[string]float64{"one": 0.5})
	f, _ := start(t, w.config(dir), burning(10*time.Second), "a")
	if got := samples(t, f, "slo:sli_total:rate5m", "a", killed.Add(-time.Minute), killed); len(got) < 3 {
		t.Errorf("of what was recorded %d samples are left", len(got))
	}
	if since := waitsSince(t, f); !since.Before(killed) {
		t.Errorf("it waits since %s after the kill", since.Sub(killed))
	}
	until(t, "it fires", 30*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
}
