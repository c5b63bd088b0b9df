package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/report"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/store"
)

// books are what a report is made from.
type books struct {
	store      *store.Store
	federation *federation.Federation
	slos       []slo.SLO
}

// ReportFigures returns what a report tells of the time from an instant until
// another: what is in the store, and what the clusters of the configuration
// say. What cannot be learned from them is named in it.
func ReportFigures(ctx context.Context, c Config, of *store.Store, from, until time.Time) (report.Figures, error) {
	f := report.Figures{From: from, Until: until}
	s := &state{config: c, byID: map[string]slo.SLO{}, registry: prometheus.NewRegistry()}
	if err := s.loadSLOs(); err != nil {
		return f, err
	}
	if err := s.connectClusters(slog.New(slog.DiscardHandler), &fleetKeeper{}); err != nil {
		return f, err
	}
	defer s.federation.Close()
	return f, books{store: of, federation: s.federation, slos: s.slos}.fill(ctx, &f)
}

// fill adds what happened in the time of the report, and how the SLOs stand at
// its end.
func (b books) fill(ctx context.Context, f *report.Figures) error {
	err := b.store.View(ctx, func(tx *store.Tx) (err error) {
		if f.Incidents, err = tx.OpenedBetween(f.From, f.Until); err != nil {
			return err
		}
		sent, err := tx.SentBetween(f.From, f.Until)
		for _, p := range sent {
			f.Pages = append(f.Pages, report.Page{User: p.User, FullName: p.FullName, At: p.At, Level: p.Level})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read figures of the report: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	left, spent := b.ask(ctx, f, leftQuery), b.ask(ctx, f, spentQuery(f.Until.Sub(f.From)))
	slices.Sort(f.Missing)
	f.Missing = slices.Compact(f.Missing)
	for _, def := range b.slos {
		f.SLOs = append(f.SLOs, report.SLO{
			Service: def.Service, Name: def.Name, Objective: def.Objective.String(),
			Left: known(left, def.ID()), Spent: known(spent, def.ID()),
		})
	}
	return nil
}

// ask returns what the clusters answer at the report's end, by "service/slo",
// and notes what is missing.
func (b books) ask(ctx context.Context, f *report.Figures, query string) map[string]float64 {
	vector, notes, err := b.federation.Instant(ctx, query, f.Until)
	warnings, _ := notes.AsStrings(query, 0, 0)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // without the query, which says nothing to who reads a report
		}
		warnings = append(warnings, err.Error())
	}
	f.Missing = append(f.Missing, warnings...)
	found := map[string]float64{}
	for _, sample := range vector {
		found[sample.Metric.Get(alert.LabelService)+"/"+sample.Metric.Get(alert.LabelSLO)] = sample.F
	}
	return found
}

func known(values map[string]float64, id string) float64 {
	if v, ok := values[id]; ok {
		return v
	}
	return math.NaN()
}

// leftQuery asks how much of its budget each SLO has left, where least is.
const leftQuery = `min by (service, slo) (slo:period_error_budget_remaining:ratio{slo!=""})`

// spentQuery asks how much of its budget each SLO spent over a span, in whole
// days: the share of its events that failed, over the share that may fail, for
// that part of the window. Of several clusters the worst counts, as for what
// is left.
func spentQuery(span time.Duration) string {
	days := max(1, int(span/(24*time.Hour)))
	events := func(series string) string {
		return fmt.Sprintf("sum by (cluster, service, slo) (sum_over_time(last_over_time(%s[15m])[%dd:1d]))", series, days)
	}
	of := func(series string) string { return fmt.Sprintf("max by (cluster, service, slo) (%s)", series) }
	return fmt.Sprintf("max by (service, slo) (%s / (%s > 0) / %s * %d / %s)",
		events("slo:sli_errors:rate1d"), events("slo:sli_total:rate1d"), of("slo:error_budget:ratio"), days, of("slo:time_period:days"))
}
