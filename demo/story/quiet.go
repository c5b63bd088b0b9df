package story

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/demo/terminal"
)

// objectives is how many SLOs the example has, in each of its clusters.
const objectives = 3

// quiet waits until every SLO has a budget in every cluster, as Midwatch sees
// them, and then that nothing fires.
func (s *story) quiet(ctx context.Context) error {
	var budgets model.Vector
	want := objectives * len(s.Places.Prometheus)
	err := poll(ctx, "budgets of all SLOs in all clusters", 90*time.Second, func(ctx context.Context) (_ bool, err error) {
		for _, name := range []string{"slo:sli_error:ratio_rate1h", "slo:current_burn_rate:ratio", "slo:period_error_budget_remaining:ratio"} {
			if budgets, err = s.api.query(ctx, s.Places.Midwatch, name); err != nil || len(budgets) != want {
				return false, err
			}
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("%w (%d of %d)", err, len(budgets), want)
	}
	s.Terminal.Tell("error budgets left, of 30 days, through Midwatch's one API over three clusters:\n%s", budgetTable(budgets))
	for _, b := range budgets {
		s.checks.that(b.Value > 0.2 && b.Value < 1, "budget left of %s: %v, want some spent and at least a fifth left", b.Metric, b.Value)
	}
	if err := s.logsArrive(ctx); err != nil {
		return err
	}
	begin := time.Now()
	for time.Since(begin) < quietFor {
		for _, name := range slices.Sorted(maps.Keys(s.Places.Prometheus)) {
			alerts, err := s.api.alerts(ctx, s.Places.Prometheus[name])
			if err != nil {
				return err
			}
			for _, a := range alerts {
				return fmt.Errorf("before the outage, %s has an alert that is %s: %v", name, a.State, a.Labels)
			}
		}
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
	s.Terminal.Say(terminal.Good, "all quiet: no alert in any cluster for %s", quietFor)
	return nil
}

// logsArrive waits until Loki has lines of each cluster's payment-service.
func (s *story) logsArrive(ctx context.Context) error {
	var counts []string
	err := poll(ctx, "log lines of all clusters in Loki", time.Minute, func(ctx context.Context) (bool, error) {
		var out struct{ Result model.Vector }
		expr := fmt.Sprintf(`sum by (cluster) (count_over_time({app=%q}[10m]))`, service)
		_, err := s.api.data(ctx, s.Places.Loki+"/loki/api/v1/query?query="+url.QueryEscape(expr), &out)
		counts = counts[:0]
		for _, x := range out.Result {
			counts = append(counts, fmt.Sprintf("%s %v", x.Metric["cluster"], x.Value))
		}
		slices.Sort(counts)
		return len(counts) == len(s.Places.Prometheus), err
	})
	if err == nil {
		s.Terminal.Tell("log lines of %s in Loki, last 10 minutes: %s", service, strings.Join(counts, ", "))
	}
	return err
}

// budgetTable writes a row for each SLO, a column for each cluster.
func budgetTable(v model.Vector) string {
	cells := map[string]map[string]string{}
	clusters := map[string]bool{}
	for _, x := range v {
		row, cluster := string(x.Metric["service"]+"/"+x.Metric["slo"]), string(x.Metric["cluster"])
		if cells[row] == nil {
			cells[row] = map[string]string{}
		}
		cells[row][cluster] = fmt.Sprintf("%.1f%%", 100*float64(x.Value))
		clusters[cluster] = true
	}
	var b strings.Builder
	columns := slices.Sorted(maps.Keys(clusters))
	fmt.Fprintf(&b, "%-38s", "")
	for _, c := range columns {
		fmt.Fprintf(&b, "%10s", c)
	}
	for _, row := range slices.Sorted(maps.Keys(cells)) {
		fmt.Fprintf(&b, "\n%-38s", row)
		for _, c := range columns {
			fmt.Fprintf(&b, "%10s", cells[row][c])
		}
	}
	return b.String()
}

// breakPool makes the connections leak, and waits for the first payment that
// fails.
func (s *story) breakPool(ctx context.Context) error {
	broken, err := s.api.pool(ctx, http.MethodPost, "/leak")
	if err != nil {
		return err
	}
	s.Terminal.Say(terminal.Bold, "%s: %s leaks connections of its database pool (%d of %d)", cluster, service, broken.Pool.Leaked, broken.Pool.Size)
	err = poll(ctx, "a failed payment", 20*time.Second, func(ctx context.Context) (bool, error) {
		o, err := s.api.pool(ctx, http.MethodGet, "")
		s.outage = o.FirstFailure
		return !o.FirstFailure.IsZero(), err
	})
	if err == nil {
		s.tell(terminal.Bad, s.outage, "first payment fails: no connection for it within a second")
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
