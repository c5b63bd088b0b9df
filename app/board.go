package app

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/web"
)

const (
	boardAge     = 5 * time.Second  // how old the figures of the board may be
	trendAge     = 10 * time.Minute // and its trends
	boardTimeout = 8 * time.Second  // for the clusters to answer
	trendSpan    = 30 * 24 * time.Hour
	trendStep    = 8 * time.Hour
)

// The recorded series that say how an SLO stands, each with how the values of
// its groups become one: the worst of them counts.
var figures = []struct {
	series, worst string
	set           func(*page.Standing, float64)
}{
	{"slo:sli_error:ratio_rate5m", "max", func(s *page.Standing, v float64) { s.ErrorRatio = v }},
	{"slo:current_burn_rate:ratio", "max", func(s *page.Standing, v float64) { s.BurnRate = v }},
	{"slo:period_error_budget_remaining:ratio", "min", func(s *page.Standing, v float64) { s.BudgetLeft = v }},
}

// standings asks the clusters how SLOs stand, by "service/slo", in the order
// of the clusters' names. Matchers narrow it down to some of them. What could
// not be learned is in the warnings.
func (s *state) standings(ctx context.Context, at time.Time, matchers ...*labels.Matcher) (map[string][]page.Standing, []string) {
	var (
		mu       sync.Mutex
		warnings []string
		group    errgroup.Group
		found    = map[string]map[string]*page.Standing{}
	)
	for _, f := range figures {
		group.Go(func() error {
			query := fmt.Sprintf("%s by (cluster, service, slo) (%s)", f.worst, selector(f.series, matchers))
			vector, notes, err := s.federation.Instant(ctx, query, at)
			mu.Lock()
			defer mu.Unlock()
			warned, _ := notes.AsStrings(query, 0, 0)
			warnings = append(warnings, warned...)
			if err != nil {
				warnings = append(warnings, err.Error())
			}
			for _, sample := range vector {
				f.set(standing(found, sample.Metric), sample.F)
			}
			return nil
		})
	}
	_ = group.Wait() // what went wrong is in the warnings
	slices.Sort(warnings)
	return sorted(found), slices.Compact(warnings)
}

func selector(series string, matchers []*labels.Matcher) string {
	parts := make([]string, 0, len(matchers)+1)
	parts = append(parts, `slo!=""`)
	for _, m := range matchers {
		parts = append(parts, m.String())
	}
	return series + "{" + strings.Join(parts, ",") + "}"
}

func standing(found map[string]map[string]*page.Standing, of labels.Labels) *page.Standing {
	id, cluster := of.Get(alert.LabelService)+"/"+of.Get(alert.LabelSLO), of.Get(alert.LabelCluster)
	if found[id] == nil {
		found[id] = map[string]*page.Standing{}
	}
	if found[id][cluster] == nil {
		found[id][cluster] = &page.Standing{Cluster: cluster, ErrorRatio: math.NaN(), BurnRate: math.NaN(), BudgetLeft: math.NaN()}
	}
	return found[id][cluster]
}

func sorted(found map[string]map[string]*page.Standing) map[string][]page.Standing {
	out := map[string][]page.Standing{}
	for id, clusters := range found {
		for _, st := range clusters {
			out[id] = append(out[id], *st)
		}
		slices.SortFunc(out[id], func(a, b page.Standing) int { return strings.Compare(a.Cluster, b.Cluster) })
	}
	return out
}

// facts is how an SLO stands, as a page tells it.
type facts struct{ app *App }

func (f facts) SLO(ctx context.Context, inc alert.Incident) page.SLO {
	s := f.app.current.Load()
	def, ok := s.byID[sloID(inc)]
	if !ok {
		return page.SLO{}
	}
	all, warnings := s.standings(ctx, time.Now(),
		labels.MustNewMatcher(labels.MatchEqual, alert.LabelService, inc.Service),
		labels.MustNewMatcher(labels.MatchEqual, alert.LabelSLO, inc.SLO))
	if len(warnings) > 0 {
		f.app.o.Logger.WarnContext(ctx, "a page lacks figures", "incident", inc.ID, "warnings", warnings)
	}
	told := page.SLO{Description: def.Description, Objective: def.Objective.String(), Window: def.Window.String(), Period: def.Window.Duration(), Runbook: def.Runbook, Answers: answers(def)}
	for _, l := range def.Links {
		told.Links = append(told.Links, page.SLOLink{Title: l.Title, URL: l.URL})
	}
	for _, st := range all[def.ID()] {
		if slices.Contains(inc.Clusters(), st.Cluster) {
			told.Standings = append(told.Standings, st)
		}
	}
	return told
}

// answers names who answers for an SLO: its owner, its team, or both.
func answers(s slo.SLO) string {
	names := slices.DeleteFunc([]string{s.Owner, s.Team}, func(name string) bool { return name == "" })
	return strings.Join(slices.Compact(names), ", ")
}

// board is how all SLOs stand, as the first page of the UI shows it. However
// many read it, the clusters are asked once every few seconds.
type board struct {
	app     *App
	flights singleflight.Group

	mu     sync.Mutex
	answer boardAnswer
}

// boardAnswer is what the clusters last said.
type boardAnswer struct {
	of     *state // whose SLOs these are
	told   web.Standings
	trends map[string][]float64
	tended time.Time // when the trends were asked for
}

// Board implements web.Board.
func (b *board) Board(ctx context.Context) (web.Standings, error) {
	s := b.app.current.Load()
	b.mu.Lock()
	last := b.answer
	b.mu.Unlock()
	if last.of == s && time.Since(last.told.At) < boardAge {
		return last.told, nil
	}
	// A reader who goes away must not take the answer from the others.
	asked := b.flights.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), boardTimeout)
		defer cancel()
		return b.ask(ctx, s, last), nil
	})
	select {
	case r := <-asked:
		return r.Val.(web.Standings), nil
	case <-ctx.Done():
		return web.Standings{}, fmt.Errorf("ask the clusters how the SLOs stand: %w", ctx.Err())
	}
}

func (b *board) ask(ctx context.Context, s *state, last boardAnswer) web.Standings {
	next := boardAnswer{of: s, trends: last.trends, tended: last.tended}
	now := time.Now()
	var group errgroup.Group
	if last.of != s || now.Sub(last.tended) > trendAge {
		group.Go(func() error {
			trends, err := s.trends(ctx, now)
			if err == nil {
				next.trends, next.tended = trends, now
			}
			return nil // the board is of use without trends
		})
	}
	all, warnings := s.standings(ctx, now)
	_ = group.Wait() // nothing in it fails
	next.told = web.Standings{At: now, Warnings: warnings}
	for _, def := range s.slos {
		next.told.SLOs = append(next.told.SLOs, row(def, all[def.ID()], next.trends[def.ID()]))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = next
	return next.told
}

func row(def slo.SLO, standings []page.Standing, trend []float64) web.SLO {
	return web.SLO{
		Service: def.Service, Name: def.Name, Description: def.Description,
		Objective: def.Objective.String(), Window: def.Window.String(),
		Runbook: def.Runbook, Critical: def.Critical,
		Standings: standings, Trend: trend,
	}
}

// trends returns the budget left of every SLO over the last 30 days, of the
// cluster and group where least was left.
func (s *state) trends(ctx context.Context, now time.Time) (map[string][]float64, error) {
	query := fmt.Sprintf("min by (service, slo) (last_over_time(%s[%s]))", selector(figures[2].series, nil), "8h")
	matrix, _, err := s.federation.Range(ctx, query, now.Add(-trendSpan), now, trendStep)
	if err != nil {
		return nil, err
	}
	out := map[string][]float64{}
	for _, series := range matrix {
		out[series.Metric.Get(alert.LabelService)+"/"+series.Metric.Get(alert.LabelSLO)] = trend(series, now)
	}
	return out, nil
}

// trend lays a series out evenly; what is missing is NaN.
func trend(series promql.Series, now time.Time) []float64 {
	values := make([]float64, int(trendSpan/trendStep)+1)
	for i := range values {
		values[i] = math.NaN()
	}
	begin := now.Add(-trendSpan).UnixMilli()
	for _, p := range series.Floats {
		if i := int((p.T - begin) / trendStep.Milliseconds()); i >= 0 && i < len(values) {
			values[i] = p.F
		}
	}
	return values
}
