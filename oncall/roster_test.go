package oncall

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/golden"
	"github.com/midwatch-slo/midwatch/page"
)

func testRoster(t testing.TB) *Roster {
	t.Helper()
	r, err := Load([]string{"testdata/roster.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestContactsFollowTheLabels(t *testing.T) {
	r := testRoster(t)
	at := utc(t, "2026-11-03T00:00:00Z")
	liWei := []page.Contact{
		{User: "li.wei", FullName: "李伟", Channel: "wecom", Address: "LiWei", Timezone: "Asia/Shanghai"},
		{User: "li.wei", FullName: "李伟", Channel: "email", Address: "li.wei@example.com", Timezone: "Asia/Shanghai"},
	}
	ana := []page.Contact{{User: "ana", FullName: "ana", Channel: "email", Address: "ana@example.com", Timezone: "America/New_York"}}
	for _, tt := range []struct {
		labels map[string]string
		want   []page.Contact
	}{
		{map[string]string{"service": "payment-service"}, liWei},
		{map[string]string{"service": "payment-service", "cluster": "hangzhou"}, liWei},
		{map[string]string{"service": "payment-service", "cluster": "test"}, ana},
		{map[string]string{"service": "user-center"}, ana},
		{nil, ana},
	} {
		var got []page.Contact
		for _, n := range r.Step(at, StepRequest{Labels: tt.labels, Level: alert.P1}).Notices {
			got = append(got, n.To)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: %s", tt.labels, diff)
		}
	}
	if got := r.Channels(); !slices.Equal(got, []string{"email", "wecom"}) {
		t.Errorf("channels %v", got)
	}
	if got := r.Schedules(); !slices.Equal(got, []string{"payments", "platform"}) {
		t.Errorf("schedules %v", got)
	}
}

func TestShiftsWithOverrides(t *testing.T) {
	shift := func(user, full, from, until string, override bool) Shift {
		return Shift{Schedule: "payments", User: user, FullName: full, From: utc(t, from), Until: utc(t, until), Override: override}
	}
	want := []Shift{
		shift("li.wei", "李伟", "2026-11-01T00:00:00Z", "2026-11-02T01:00:00Z", false),
		shift("li.wei", "李伟", "2026-11-02T01:00:00Z", "2026-11-04T04:00:00Z", false),
		shift("ana", "ana", "2026-11-04T04:00:00Z", "2026-11-04T10:00:00Z", true),
		shift("li.wei", "李伟", "2026-11-04T10:00:00Z", "2026-11-04T12:00:00Z", true),
		shift("ana", "ana", "2026-11-04T12:00:00Z", "2026-11-05T04:00:00Z", true),
		shift("li.wei", "李伟", "2026-11-05T04:00:00Z", "2026-11-09T01:00:00Z", false),
		shift("ana", "ana", "2026-11-09T01:00:00Z", "2026-11-10T00:00:00Z", false),
	}
	r := testRoster(t)
	got := r.Shifts("payments", utc(t, "2026-11-01T00:00:00Z"), utc(t, "2026-11-10T00:00:00Z"))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s := r.At("payments", utc(t, "2026-11-04T11:00:00Z")); s != want[3] {
		t.Errorf("at 19:00 in Shanghai: %v", s)
	}
	if r.Shifts("nobody", got[0].From, got[6].Until) != nil || r.At("nobody", got[0].From) != (Shift{}) {
		t.Error("a schedule that does not exist has shifts")
	}
}

// TestShiftsHaveNoGaps compares the spans that Shifts gives with At, minute
// by minute, over a change of clocks.
func TestShiftsHaveNoGaps(t *testing.T) {
	r := testRoster(t)
	for _, name := range r.Schedules() {
		from, to := utc(t, "2026-10-30T07:13:00Z"), utc(t, "2026-11-12T19:00:00Z")
		shifts, i := r.Shifts(name, from, to), 0
		for at := from; at.Before(to); at = at.Add(time.Minute) {
			if at.Equal(shifts[i].Until) {
				i++
			}
			s := r.At(name, at)
			if at.Before(shifts[i].From) || !at.Before(shifts[i].Until) || s.User != shifts[i].User || s.Override != shifts[i].Override {
				t.Fatalf("%s at %s: %v, but %v", name, at, shifts[i], s)
			}
		}
	}
}

func TestWorkingTime(t *testing.T) {
	r := testRoster(t)
	payments := map[string]string{"service": "payment-service"} // mon-fri 09:00 to 18:00 in Shanghai
	platform := map[string]string{}                             // mon-wed, sat 08:30 to 24:00 in New York
	for _, tt := range []struct {
		labels   map[string]string
		at, want string
	}{
		{payments, "2026-11-20T01:00:00Z", "2026-11-20T01:00:00Z"}, // Friday 09:00
		{payments, "2026-11-20T09:59:59Z", "2026-11-20T09:59:59Z"},
		{payments, "2026-11-20T10:00:00Z", "2026-11-23T01:00:00Z"}, // Friday 18:00: Monday
		{payments, "2026-11-22T23:00:00Z", "2026-11-23T01:00:00Z"}, // Monday 07:00
		{platform, "2026-11-22T04:59:00Z", "2026-11-22T04:59:00Z"}, // Saturday 23:59
		{platform, "2026-11-22T05:00:00Z", "2026-11-23T13:30:00Z"}, // Sunday: Monday
		{platform, "2026-03-08T04:00:00Z", "2026-03-08T04:00:00Z"}, // Saturday 23:00, before the clock change
		{platform, "2026-03-08T06:00:00Z", "2026-03-09T12:30:00Z"}, // Sunday: Monday in daylight saving
	} {
		if got := r.WorkingTimeOf(utc(t, tt.at), StepRequest{Labels: tt.labels}); !got.Equal(utc(t, tt.want)) {
			t.Errorf("%v at %s: got %s, want %s", tt.labels, tt.at, got, tt.want)
		}
	}
}

func TestGoldenOfProblems(t *testing.T) {
	for golden, files := range map[string][]string{
		"testdata/broken.golden":          {"testdata/broken.yaml", "testdata/absent.yaml"},
		"testdata/broken_policies.golden": {"testdata/broken_policies.yaml"},
	} {
		goldenProblems(t, golden, files)
	}
}

func goldenProblems(t *testing.T, name string, files []string) {
	t.Helper()
	_, err := Load(files)
	problems, ok := diag.Of(err)
	if !ok {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, p := range problems {
		got.WriteString(p.Error() + "\n")
	}
	golden.File(t, name, got.String())
}

func TestFoldersAndFilesMerge(t *testing.T) {
	dir := t.TempDir()
	whole, err := os.ReadFile("testdata/roster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(string(whole), "---\n")
	for name, content := range map[string]string{"a.yaml": second, "deep/b.yml": first, "README.md": "no YAML: ["} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := Load([]string{dir, filepath.Join(dir, "a.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Schedules(); !slices.Equal(got, []string{"platform", "payments"}) {
		t.Errorf("schedules %v", got)
	}
}

// FuzzParse makes sure that whatever is accepted has an answer to everything.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/roster.yaml", "testdata/full.yaml", "testdata/broken.yaml", "testdata/broken_policies.yaml", "calendars/cn.yaml"} {
		seed, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed)
	}
	f.Add([]byte("{apiVersion: midwatch.dev/v1, kind: OnCall, default_schedule: s, users: [{name: a, contacts: [{channel: c, address: d}]}], schedules: [{name: s, timezone: UTC, rotation: {handoff: '* * 29 2 *', start: 1970-01-01, participants: [a]}}]}"))
	f.Add([]byte("users: [[[[{}]]]]\n---\n- 1\n---\n\xff"))
	f.Fuzz(func(t *testing.T, content []byte) {
		r, err := Parse("fuzz.yaml", content)
		if err != nil {
			if ps, ok := diag.Of(err); !ok || len(ps) == 0 {
				t.Fatalf("not problems: %v", err)
			}
			return
		}
		for _, at := range []time.Time{utc(t, "1969-01-01T00:00:00Z"), utc(t, "2026-11-21T12:00:00Z"), utc(t, "2040-12-31T12:00:00Z")} {
			answers(t, r, at)
		}
		r.Lint(utc(t, "2026-12-31T12:00:00Z"), 24*time.Hour)
	})
}

// answers asks a roster everything at an instant.
func answers(t *testing.T, r *Roster, at time.Time) {
	for _, p := range r.Policies() {
		for _, level := range []alert.Level{alert.P1, alert.P2, alert.P3} {
			q := StepRequest{Policy: p.Name, Level: level, Incident: -3}
			for range 5 {
				plan := r.Step(at, q)
				if len(plan.Notices) == 0 || plan.Wait < 0 {
					t.Fatalf("%s at %s: %+v", p.Name, at, plan)
				}
				q.Step, q.Cycle = plan.Step, plan.Cycle
			}
			if r.WorkingTimeOf(at, q).Before(at) {
				t.Fatalf("%s at %s: working time before", p.Name, at)
			}
		}
	}
	for _, u := range r.Users() {
		if len(r.Ways(u.Name, alert.P2)) == 0 {
			t.Fatalf("no way to %s", u.Name)
		}
	}
	for _, s := range r.Schedules() {
		if shift := r.At(s, at); !shift.Until.After(at) || shift.From.After(at) {
			t.Fatalf("at %s: %v", at, shift)
		}
	}
	if _, until, muted := r.Muted(at, map[string]string{"service": "x"}); muted && !until.After(at) {
		t.Fatalf("at %s: muted until %s", at, until)
	}
}

func TestDocumentedExampleLoads(t *testing.T) {
	text, err := os.ReadFile("../docs/oncall.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("docs/oncall.md has no example")
	}
	r, err := Parse("docs/oncall.md", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	s := r.At("payments", utc(t, "2026-11-24T02:00:00Z"))
	if s.User != "ana" || !s.Override || r.Route(map[string]string{"service": "payment-service"}).Policy != "payments" {
		t.Errorf("got %+v", s)
	}
	for _, f := range r.Lint(s.From, Horizon, "wecom", "phone", "email", "wecom_robot") {
		if f.Severity == Error {
			t.Errorf("the example has an error: %s", f.Problem)
		}
	}
	if !r.knowsYear("cn", 2025) || !r.knowsYear("cn", 2026) {
		t.Error("the example's year is not added to the calendar")
	}
}

func TestLintByChannels(t *testing.T) {
	var got []string
	for _, f := range fullRoster(t).Lint(utc(t, "2026-11-21T00:00:00Z"), Horizon, "wecom", "phone") {
		if strings.Contains(f.Message, "reachable") {
			got = append(got, string(f.Severity)+" "+f.Message)
		}
	}
	want := []string{
		"error 李伟 has no reachable contact at P3", // whose rule is email alone
		"error ana has no reachable contact at P1",
		"error ana has no reachable contact at P2",
		"error ana has no reachable contact at P3",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
