package fleet_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/fleet"
)

func TestMain(m *testing.M) {
	child()
	// Tests wait for evaluations, not for processors.
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

// A budget burns over two clusters: one alert, which is held while a cluster
// is away, though less burns then, and is over when all say so.
func TestAlertIsHeldWhileAClusterIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld([]string{"a", "b"}, "one", "two")
	w.value = failing(map[string]float64{"one": 0.15, "two": 0.15})
	f, _ := start(t, w.config(t.TempDir()), burning(0), "a")
	until(t, "it fires", 10*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
	first := w.last("Burn")
	if got := first.Labels.String(); got != `{alertname="Burn", scope="fleet", service="svc", severity="P1", slo="a"}` || first.Annotations["description"] != "0.15 fail." {
		t.Errorf("the alert: %s %v", got, first.Annotations)
	}

	// Half of 0.15 is not above a tenth: without the data of two it would be over.
	w.set(func() { w.gone["two"] = "connection refused" })
	until(t, "what is missing is told", 10*time.Second, func() bool { return w.last("SLOFleetDataMissing").State == alert.Firing })
	missing := w.last("SLOFleetDataMissing")
	if text := string(missing.Annotations["description"]); !strings.HasPrefix(text, "Missing: two since "+missing.StartsAt.Format("2006-01-02 15:04")) || !strings.Contains(text, "(connection refused)") {
		t.Errorf("the alert says %q", text)
	}
	gap := time.Now()
	until(t, "it was evaluated without two", 10*time.Second, func() bool {
		return len(samples(t, f, "ALERTS", "a", gap.Add(2*time.Second), time.Now())) > 0
	})
	if got := w.last("Burn").State; got != alert.Firing {
		t.Errorf("the alert is %s while nobody knows", got)
	}
	if got := samples(t, f, "slo:sli_total:rate5m", "a", gap, time.Now()); len(got) != 0 {
		t.Errorf("numbers are recorded without two: %v", got)
	}

	w.set(func() { delete(w.gone, "two"); w.value = failing(nil) })
	until(t, "it is over", 10*time.Second, func() bool { return w.last("Burn").State == alert.Resolved })
	until(t, "nothing is missing", 10*time.Second, func() bool { return w.last("SLOFleetDataMissing").State == alert.Resolved })
	w.set(func() {
		for _, a := range w.taken {
			if a.Label("alertname") == "Burn" && a.Fingerprint() != first.Fingerprint() {
				t.Errorf("another alert: %v", a.Labels)
			}
		}
	})
}

// Of a cluster some data may be missing: what it says counts for what fires,
// and neither ends an alert nor is recorded; it is backfilled afterwards.
func TestDoubtfulDataFiresAndEndsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld([]string{"a"}, "one", "two")
	const why = "replica 1 answers alone, and lacks data of then to now"
	w.part["two"] = why
	w.value = failing(map[string]float64{"two": 0.5})
	f, _ := start(t, w.config(t.TempDir()), burning(0), "a")
	until(t, "it fires by what two says", 20*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
	a := w.last("Burn")
	if text := string(a.Annotations["description"]); a.Annotations["incomplete"] != "two" || !strings.Contains(text, why+"). It fires by the data that there is.") {
		t.Errorf("it fires: %v", a.Annotations)
	}
	until(t, "whose data is doubtful is told", 20*time.Second, func() bool { return w.last("SLOFleetDataMissing").State == alert.Firing })
	calm := time.Now()
	w.set(func() { w.value = failing(nil) })
	until(t, "it was evaluated again", 20*time.Second, func() bool {
		return len(samples(t, f, "ALERTS", "a", calm.Add(2*time.Second), time.Now())) > 0
	})
	if got := w.last("Burn").State; got != alert.Firing {
		t.Errorf("the alert is %s by doubtful data", got)
	}
	if got := samples(t, f, "slo:sli_total:rate5m", "a", calm.Add(-time.Hour), time.Now()); len(got) != 0 {
		t.Errorf("doubtful numbers are recorded: %v", got)
	}
	w.set(func() { delete(w.part, "two") })
	until(t, "it is over", 20*time.Second, func() bool { return w.last("Burn").State == alert.Resolved })
	records(t, f, "slo:sli_total:rate5m")
}

// While a healthy cluster is away, what fails in the other is set against all
// that there was: a tenth of the whole pages, a tenth of one cluster does not.
func TestAlertFiresWhenThePresentClustersSuffice(t *testing.T) {
	t.Parallel()
	w := newWorld([]string{"a", "b"}, "one", "two")
	f, _ := start(t, w.config(t.TempDir()), burning(0), "a", "b")
	until(t, "it records", 10*time.Second, func() bool {
		return len(samples(t, f, "slo:sli_total:rate5m", "b", time.Now().Add(-time.Minute), time.Now())) > 1
	})
	w.set(func() {
		w.gone["two"] = "timeout"
		w.value = func(cluster, metric, slo string, at time.Time) float64 {
			return failing(map[string]float64{"one": map[string]float64{"a": 0.15, "b": 0.3}[slo]})(cluster, metric, slo, at)
		}
	})
	until(t, "it fires", 10*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
	a := w.last("Burn")
	if a.Label("slo") != "b" || a.Annotations["incomplete"] != "two" ||
		!strings.Contains(string(a.Annotations["description"]), "0.15 fail. Data is missing: two since ") ||
		!strings.Contains(string(a.Annotations["description"]), "(timeout). It fires by the data of the other clusters alone, even if there nothing fails.") {
		t.Errorf("it fires: %v %v", a.Labels, a.Annotations)
	}
	seen := time.Now()
	until(t, "it goes on for some evaluations", 10*time.Second, func() bool {
		return len(samples(t, f, "ALERTS", "b", seen, time.Now())) > 2
	})
	w.set(func() {
		for _, a := range w.taken {
			if a.Label("slo") == "a" {
				t.Errorf("fires by a part of one cluster: %v", a.Labels)
			}
		}
	})
}

// What a cluster last had counts after a restart without it, also after a
// crash.
func TestWhatAClusterHadOutlivesARestart(t *testing.T) {
	t.Parallel()
	w, dir := newWorld([]string{"a", "b"}, "one", "two"), t.TempDir()
	f, end := start(t, w.config(dir), burning(0), "a", "b")
	records(t, f, "slo:sli_total:rate5m")
	w.set(func() { w.gone["two"] = "timeout" })
	var written []byte
	until(t, "it is written what two had", 20*time.Second, func() bool {
		var err error
		written, err = os.ReadFile(filepath.Join(dir, "totals.json"))
		return err == nil && strings.Contains(string(written), `"cluster":"two"`)
	})
	crashed := t.TempDir()
	if err := os.WriteFile(filepath.Join(crashed, "totals.json"), written, 0o600); err != nil {
		t.Fatal(err)
	}
	end()
	w.value = func(cluster, metric, slo string, at time.Time) float64 {
		return failing(map[string]float64{"one": map[string]float64{"a": 0.15, "b": 0.3}[slo]})(cluster, metric, slo, at)
	}
	for _, left := range []string{dir, crashed} {
		w.set(func() { w.taken = nil })
		_, end := start(t, w.config(left), burning(0), "a", "b")
		until(t, "it fires", 20*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
		if a := w.last("Burn"); a.Label("slo") != "b" || !strings.Contains(string(a.Annotations["description"]), "even if there nothing fails") {
			t.Errorf("it fires: %v %v", a.Labels, a.Annotations)
		}
		end()
	}
}

// What an alert has waited counts after a restart.
func TestForOutlivesARestart(t *testing.T) {
	t.Parallel()
	const hold = 6 * time.Second
	w, dir := newWorld([]string{"a"}, "one", "two"), t.TempDir()
	w.value = failing(map[string]float64{"one": 0.5})
	f, end := start(t, w.config(dir), burning(hold), "a")
	until(t, "it is pending", 10*time.Second, func() bool {
		return len(samples(t, f, "ALERTS_FOR_STATE", "a", time.Now().Add(-time.Minute), time.Now())) > 2
	})
	end()
	if w.last("Burn").State != "" {
		t.Fatal("it fired at once")
	}
	again := time.Now()
	f, _ = start(t, w.config(dir), burning(hold), "a")
	if since := waitsSince(t, f); !since.Before(again) {
		t.Errorf("it waits since %s after the restart", since.Sub(again))
	}
	until(t, "it fires", 20*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
}

// waitsSince returns since when, as a fleet sees it after a restart, its alert
// waits.
func waitsSince(t *testing.T, f *fleet.Fleet) (at time.Time) {
	t.Helper()
	until(t, "it is restored", 20*time.Second, func() bool {
		r := f.AlertingRules()[0]
		if !r.Restored() || r.ActiveAlertsCount() == 0 {
			return false
		}
		at = r.ActiveAlerts()[0].ActiveAt
		return true
	})
	return at
}

// However many SLOs there are, each group asks the clusters once.
func TestClustersAreAskedOnceAGroup(t *testing.T) {
	t.Parallel()
	const many = 300
	var names []string
	for i := range many {
		names = append(names, fmt.Sprintf("slo-%d", i))
	}
	groups := burning(0)
	groups[0].Rules = nil
	for _, n := range names {
		groups[0].Rules = append(groups[0].Rules, rulefmt.Rule{
			Record: "slo:parameter:value", Expr: "vector(1)", Labels: map[string]string{"scope": "fleet", "slo": n, "service": "svc"},
		})
	}
	w := newWorld(names, "one", "two")
	f, _ := start(t, w.config(t.TempDir()), groups, names...)
	began := time.Now()
	until(t, "all are recorded three times", 20*time.Second, func() bool {
		return len(samples(t, f, "slo:sli_total:rate5m", names[many-1], began, time.Now())) >= 3
	})
	recorded := len(samples(t, f, "slo:sli_total:rate5m", names[0], began.Add(-time.Minute), time.Now()))
	w.set(func() {
		// One for each evaluation, of which the first may come before the parameters, and the last be under way.
		if len(w.asked) > recorded+2 {
			t.Errorf("%d evaluations asked %d times", recorded, len(w.asked))
		}
		if want := `{__name__=~"slo:sli_errors:rate5m|slo:sli_total:rate5m",scope="",slo=~"slo-0|slo-1|`; !strings.HasPrefix(w.asked[0], want) {
			t.Errorf("asked %.120s", w.asked[0])
		}
	})
}

// What is not taken in is delivered again, and the newest that is said of an
// alert is what stays.
func TestAlertsAreDeliveredUntilTheyAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld([]string{"a"}, "one")
	w.value, w.refuse = failing(map[string]float64{"one": 0.5}), 1_000_000
	f, _ := start(t, w.config(t.TempDir()), burning(0), "a")
	until(t, "it fires", 10*time.Second, func() bool {
		return len(samples(t, f, "ALERTS", "a", time.Now().Add(-time.Minute), time.Now())) > 0
	})
	w.set(func() { w.refuse = 2 })
	until(t, "it is taken in", 20*time.Second, func() bool { return w.last("Burn").State == alert.Firing })
	w.set(func() { w.refuse, w.value = 2, failing(nil) })
	until(t, "its end is", 20*time.Second, func() bool { return w.last("Burn").State == alert.Resolved })
}

// Of several replicas one speaks. When that ends, another does, and nobody
// misses anything.
func TestOneReplicaSpeaks(t *testing.T) {
	t.Parallel()
	speaks, silent := newWorld([]string{"a"}, "one"), newWorld([]string{"a"}, "one")
	silent.leading = false
	for _, w := range []*world{speaks, silent} {
		w.value = failing(map[string]float64{"one": 0.5})
	}
	start(t, speaks.config(t.TempDir()), burning(0), "a")
	f, _ := start(t, silent.config(t.TempDir()), burning(0), "a")
	until(t, "both fire", 10*time.Second, func() bool {
		return speaks.last("Burn").State == alert.Firing && len(samples(t, f, "ALERTS", "a", time.Now().Add(-time.Minute), time.Now())) > 1
	})
	if got := silent.last("Burn").State; got != "" {
		t.Errorf("the other says %s too", got)
	}
	silent.set(func() { silent.leading, silent.value = true, failing(nil) })
	until(t, "the other says that it is over", 20*time.Second, func() bool { return silent.last("Burn").State == alert.Resolved })
}

// What an alert has waited counts when another replica takes over: it fires as
// soon as it would have, once.
func TestForGoesOnWithAnotherReplica(t *testing.T) {
	t.Parallel()
	const hold = 10 * time.Second
	elder, younger := newWorld([]string{"a"}, "one"), newWorld([]string{"a"}, "one")
	younger.leading = false
	for _, w := range []*world{elder, younger} {
		w.value = failing(map[string]float64{"one": 0.5})
	}
	_, end := start(t, elder.config(t.TempDir()), burning(hold), "a")
	f, _ := start(t, younger.config(t.TempDir()), burning(hold), "a")
	since := waitsSince(t, f)
	until(t, "it has waited", 20*time.Second, func() bool { return time.Since(since) > hold/2 })
	end()
	younger.set(func() { younger.leading = true })
	until(t, "it fires", 40*time.Second, func() bool { return younger.last("Burn").State == alert.Firing })
	if at := younger.last("Burn").StartsAt.Sub(since); at < hold || at > hold*3/2 {
		t.Errorf("it fires after %s, want %s", at, hold)
	}
	if got := elder.last("Burn").State; got != "" {
		t.Errorf("the one that ended said %s", got)
	}
}

// An alert of which nobody said that it is over, such as before a crash, ends
// when all is known.
func TestWhatIsOverIsSaidAfterACrash(t *testing.T) {
	t.Parallel()
	w := newWorld([]string{"a"}, "one")
	c := w.config(t.TempDir())
	left := alert.Alert{State: alert.Firing, StartsAt: time.Now().Add(-time.Hour)}
	left.Labels = model.LabelSet{"alertname": "Burn", "scope": "fleet", "service": "svc", "severity": "P1", "slo": "a"}
	other := left
	other.Labels = model.LabelSet{"alertname": "Other", "scope": "fleet", "service": "svc", "slo": "a"}
	c.Standing = func(context.Context) ([]alert.Alert, error) { return []alert.Alert{left, other}, nil }
	start(t, c, burning(0), "a")
	until(t, "it is over", 20*time.Second, func() bool { return w.last("Burn").State == alert.Resolved })
	if got := w.last("Other").State; got != "" {
		t.Errorf("an alert of no rule is %s", got)
	}
}
