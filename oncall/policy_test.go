package oncall

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
)

func fullRoster(t testing.TB) *Roster {
	t.Helper()
	r, err := Load([]string{"testdata/full.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// told writes notices as user/channel+after.
func told(notices []Notice) string {
	parts := make([]string, len(notices))
	for i, n := range notices {
		parts[i] = n.To.User + "/" + n.To.Channel
		if n.After > 0 {
			parts[i] += "+" + n.After.String()
		}
	}
	return strings.Join(parts, " ")
}

// follow walks through a policy as nobody acknowledges, a line a step.
func follow(r *Roster, at time.Time, q StepRequest, steps int) string {
	var b strings.Builder
	for range steps {
		p := r.Step(at, q)
		fmt.Fprintf(&b, "%s: %s; %s", p.Name, told(p.Notices), p.Wait)
		if len(p.Skipped) > 0 {
			fmt.Fprintf(&b, "; skipped %s", strings.Join(p.Skipped, " and "))
		}
		b.WriteByte('\n')
		if p.Wait == 0 {
			break
		}
		at, q.Step, q.Cycle = at.Add(p.Wait), p.Step, p.Cycle
	}
	return b.String()
}

var payment = map[string]string{"service": "payment-service"}

func TestPolicyOfAWorkingDay(t *testing.T) {
	// Thursday 19 November, 15:00 in Shanghai and 08:00 in Berlin: ana has
	// the day in payments, and the office in search.
	at := utc(t, "2026-11-19T07:00:00Z")
	for name, tt := range map[string]struct {
		q    StepRequest
		want string
	}{
		"P1": {StepRequest{Labels: payment, Level: alert.P1, Tiers: []string{"1h5m"}}, `
step 1: payments: ana/email ana/slack; 5m0s
step 2: search: ana/email ana/slack; 10m0s
step 4: team core: li.wei/wecom li.wei/phone li.wei/email+3m0s ana/email ana/slack chen/wecom; 15m0s
step 1: payments, again: ana/email ana/slack; 5m0s
`},
		"P2 without a tier": {StepRequest{Labels: payment, Level: alert.P2, Cycle: 2}, `
step 1: payments, again: ana/email; 5m0s
step 2: search, again: ana/email; 10m0s
last resort: boss: boss/wecom; 0s
`},
		"P3": {StepRequest{Labels: payment, Level: alert.P3}, `
step 1: payments: ana/email; 5m0s
step 1: payments, again: ana/email; 5m0s
step 1: payments, again: ana/email; 5m0s
last resort: boss: boss/wecom; 0s
`},
		"assigned": {StepRequest{Labels: payment, Level: alert.P2, Step: 3, Assigned: []string{"chen", "gone"}, Responders: []string{"li.wei", "gone"}}, `
assigned: chen: chen/wecom li.wei/wecom; 15m0s
assigned: chen: chen/wecom li.wei/wecom; 15m0s
assigned: chen: chen/wecom li.wei/wecom; 15m0s
assigned: chen; last resort: boss: chen/wecom boss/wecom li.wei/wecom; 0s
`},
		"a policy that is gone": {StepRequest{Policy: "gone", Labels: payment, Level: alert.P2, Step: 17}, `
step 1: payments: ana/email; 5m0s
`},
		"Midwatch's own": {StepRequest{Labels: map[string]string{"service": "midwatch"}, Level: alert.P2}, `
step 1: team core: li.wei/wecom ana/email chen/wecom; 15m0s
step 1: team core, again: li.wei/wecom ana/email chen/wecom; 0s
`},
	} {
		want := strings.TrimPrefix(tt.want, "\n")
		if diff := cmp.Diff(want, follow(fullRoster(t), at, tt.q, strings.Count(want, "\n"))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPolicyAtNightSkipsWhoIsNotThere(t *testing.T) {
	r := fullRoster(t)
	at := utc(t, "2026-11-18T19:00:00Z") // Thursday 03:00 in Shanghai, Wednesday 20:00 in Berlin
	q := StepRequest{Labels: payment, Level: alert.P1, Incident: 41}
	want := `step 1: payments: li.wei/wecom li.wei/phone li.wei/email+3m0s; 5m0s
step 3: one of team core, the war room: ana/email ana/slack wecom_robot:ops/wecom_robot; 15m0s; skipped step 2: search
step 1: payments, again: li.wei/wecom li.wei/phone li.wei/email+3m0s; 5m0s
step 3: one of team core, the war room, again: chen/wecom wecom_robot:ops/wecom_robot; 15m0s; skipped step 2: search
`
	if diff := cmp.Diff(want, follow(r, at, q, 4)); diff != "" {
		t.Error(diff)
	}
	// The office is empty, and its policy has no other step.
	search := StepRequest{Labels: map[string]string{"service": "search"}, Level: alert.P2, Incident: 41}
	want = "last resort: one of chen, boss: boss/wecom; 0s\n"
	if diff := cmp.Diff(want, follow(r, at, search, 3)); diff != "" {
		t.Error(diff)
	}
	if got := r.Step(at, q).AckTimeout; got != 30*time.Minute {
		t.Errorf("acknowledged for %s", got)
	}
}

// A P1 goes on past the last resort until somebody acknowledges.
func TestP1NeverEnds(t *testing.T) {
	r := fullRoster(t)
	q := StepRequest{Labels: payment, Level: alert.P1, Tiers: []string{"1h5m"}}
	resorts := 0
	for i := range 200 {
		p := r.Step(utc(t, "2026-11-18T19:00:00Z"), q)
		if p.Wait <= 0 || len(p.Notices) == 0 {
			t.Fatalf("round %d: %+v", i, p)
		}
		if strings.HasPrefix(p.Name, "last resort") {
			resorts++
		}
		q.Step, q.Cycle = p.Step, p.Cycle
	}
	if resorts < 20 {
		t.Errorf("the last resort was told %d times", resorts)
	}
}

// A schedule alone pages whoever comes next when nobody is on call.
func TestScheduleAloneHasNoHole(t *testing.T) {
	r, err := Parse("gap.yaml", []byte(`{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s,
users: [{name: a, contacts: [{channel: c, address: a}]}, {name: b, contacts: [{channel: c, address: b}]}],
schedules: [{name: s, timezone: UTC, layers: [{name: l, restrictions: [{from: "09:00", until: "17:00"}],
  rotation: {handoff: "0 0 * * *", start: "2026-01-01", participants: [a, b]}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `nobody is on call: who comes next: b/c; 15m0s; skipped step 1: s
nobody is on call: who comes next: b/c; 0s; skipped step 1: s
`
	if diff := cmp.Diff(want, follow(r, utc(t, "2026-01-01T20:00:00Z"), StepRequest{Level: alert.P2}, 5)); diff != "" {
		t.Error(diff)
	}
}

func TestWaysAndLanguages(t *testing.T) {
	r := fullRoster(t)
	for _, tt := range []struct {
		user  string
		level alert.Level
		want  string
	}{
		{"li.wei", alert.P1, "li.wei/wecom li.wei/phone li.wei/email+3m0s"},
		{"li.wei", alert.P2, "li.wei/wecom li.wei/phone li.wei/email"},
		{"li.wei", alert.P3, "li.wei/email li.wei/wecom li.wei/phone"},
		{"ana", alert.P3, "ana/email ana/slack"},
		{"nobody", alert.P1, ""},
	} {
		if got := told(r.Ways(tt.user, tt.level)); got != tt.want {
			t.Errorf("%s at %s: %q, want %q", tt.user, tt.level, got, tt.want)
		}
	}
	to := r.Ways("li.wei", alert.P1)[0].To
	if to.Language != "zh" || to.Timezone != "Asia/Shanghai" || to.FullName != "李伟" {
		t.Errorf("%+v", to)
	}
	if got := r.Ways("chen", alert.P1)[0].To.Timezone; got != "Asia/Shanghai" {
		t.Errorf("chen, who is in payments, has the time zone %q", got)
	}
}

func TestRoutesAndPolicies(t *testing.T) {
	r := fullRoster(t)
	for of, want := range map[string]Route{
		"payment-service": {Policy: "payments", GroupBy: []string{"service", "cluster"}},
		"batch":           {Policy: "schedule:payments"},
		"midwatch":        {Policy: "ops"},
		"other":           {Policy: "search"},
	} {
		if diff := cmp.Diff(want, r.Route(map[string]string{"service": of})); diff != "" {
			t.Errorf("%s: %s", of, diff)
		}
	}
	policies := r.Policies()
	if len(policies) != 4 || policies[3].Name != "schedule:payments" || policies[0].LastResort != "boss" || policies[0].Steps[2] != "one of team core, the war room" {
		t.Errorf("%+v", policies)
	}
	if got := r.Channels(); !slices.Equal(got, []string{"email", "phone", "slack", "wecom", "wecom_robot"}) {
		t.Errorf("channels %v", got)
	}
	users := r.Users()
	if len(users) != 4 || !slices.Equal(users[1].Schedules, []string{"payments", "search"}) || !slices.Equal(users[1].Teams, []string{"core"}) {
		t.Errorf("%+v", users)
	}
}

func TestMuted(t *testing.T) {
	r := fullRoster(t)
	for _, tt := range []struct {
		labels, at, why, until string
	}{
		{"service=search", "2026-11-18T20:59:00Z", "", ""}, // 21:59 in Berlin
		{"service=search", "2026-11-18T21:00:00Z", `time interval "nights"`, "2026-11-19T06:00:00Z"},
		{"service=search", "2026-10-25T00:30:00Z", `time interval "nights"`, "2026-10-25T06:00:00Z"}, // the clock is set back
		{"service=search", "2026-11-19T06:00:00Z", "", ""},
		{"service=batch", "2026-11-18T02:00:00Z", "", ""},                                              // Wednesday 10:00 in Shanghai
		{"service=batch", "2026-11-18T10:00:00Z", "outside office, saturdays", "2026-11-19T01:00:00Z"}, // 18:00
		{"service=batch", "2026-11-20T10:00:00Z", "outside office, saturdays", "2026-11-20T16:00:00Z"}, // Saturday is near
		{"cluster=hangzhou", "2026-11-21T17:59:59Z", "", ""},                                           // a second before
		{"cluster=hangzhou", "2026-11-21T18:00:00Z", "maintenance db-upgrade: PostgreSQL 18", "2026-11-21T20:00:00Z"},
		{"cluster=shanghai", "2026-11-21T18:00:00Z", "", ""},
		{"service=backup", "2026-11-21T00:29:00Z", "", ""},
		{"service=backup", "2026-11-21T00:30:00Z", "maintenance backup", "2026-11-21T02:30:00Z"},
		{"service=backup", "2026-03-29T01:00:00Z", "maintenance backup", "2026-03-29T02:30:00Z"}, // begun at 01:30, before the clock jumps
	} {
		name, value, _ := strings.Cut(tt.labels, "=")
		why, until, ok := r.Muted(utc(t, tt.at), map[string]string{name: value})
		if why != tt.why || ok != (tt.why != "") || ok && !until.Equal(utc(t, tt.until)) {
			t.Errorf("%s at %s: %q until %s, want %q until %s", tt.labels, tt.at, why, until, tt.why, tt.until)
		}
	}
}

// TestMutedAgreesMinuteByMinute asks at every minute of a fortnight in which
// clocks change whether what was said to hold until then still does.
func TestMutedAgreesMinuteByMinute(t *testing.T) {
	r := fullRoster(t)
	for _, of := range []map[string]string{{"service": "search"}, {"service": "batch"}, {"service": "backup"}} {
		var until time.Time
		for at := utc(t, "2026-10-20T00:00:00Z"); at.Before(utc(t, "2026-11-03T00:00:00Z")); at = at.Add(time.Minute) {
			_, end, muted := r.Muted(at, of)
			if !muted && at.Before(until) {
				t.Fatalf("%v at %s: not muted, but it was to be until %s", of, at, until)
			}
			if muted && !end.After(at) {
				t.Fatalf("%v at %s: muted until %s", of, at, end)
			}
			until = end
		}
	}
}
