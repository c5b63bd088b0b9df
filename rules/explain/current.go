package explain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier answers PromQL at an instant, of one cluster or of all.
type Querier interface {
	Instant(ctx context.Context, query string, at time.Time) (promql.Vector, annotations.Annotations, error)
}

// Current is how an SLO stands.
type Current struct {
	At        time.Time  `json:"at"`
	Standings []Standing `json:"standings"`
	Missing   []string   `json:"missing,omitempty"` // what was not answered, and why
}

// Standing is how an SLO stands in one cluster and for one group. What is not
// recorded is not there.
type Standing struct {
	Labels     map[string]string  `json:"labels"` // of the cluster and the group
	Ratios     map[string]float64 `json:"error_ratios"`
	Burn       *float64           `json:"burn_rate,omitempty"`   // over five minutes
	BudgetLeft *float64           `json:"budget_left,omitempty"` // 1 is all of it
	Traffic    *float64           `json:"traffic_per_second,omitempty"`
	Firing     []string           `json:"firing,omitempty"` // such as "P1 1h5m"
}

// Where returns the labels of a standing as text, such as cluster=eu path=/.
func (s Standing) Where() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, name+"="+s.Labels[name])
	}
	return cmp.Or(strings.Join(parts, " "), "everywhere")
}

const (
	ratioPrefix = "slo:sli_error:ratio_rate"
	totalPrefix = "slo:sli_total:rate"
)

// Ask returns how an SLO stands, as far as each question is answered within a
// deadline. They are asked at once.
func Ask(ctx context.Context, q Querier, e Explanation, at time.Time, deadline time.Duration) Current {
	who := fmt.Sprintf("service=%q,slo=%q", e.Service, e.Name)
	questions := []struct{ what, query string }{
		{"error ratios", fmt.Sprintf(`{__name__=~"%s.+",%s}`, ratioPrefix, who)},
		{"burn rates and budgets", fmt.Sprintf(`{__name__=~"slo:(current_burn_rate|period_error_budget_remaining):ratio",%s}`, who)},
		{"traffic", fmt.Sprintf(`{__name__="%s%s",%s}`, totalPrefix, recordedWindow(e), who)},
		{"alerts", fmt.Sprintf(`ALERTS{alertstate="firing",%s}`, who)},
	}
	answers := make([]promql.Vector, len(questions))
	missing := make([][]string, len(questions))
	var wg sync.WaitGroup
	for i, question := range questions {
		wg.Go(func() { answers[i], missing[i] = ask(ctx, q, question.what, question.query, at, deadline) })
	}
	wg.Wait()
	b := board{standings: map[string]*Standing{}}
	for _, v := range answers {
		for _, sample := range v {
			b.take(sample)
		}
	}
	c := Current{At: at, Standings: b.sorted()}
	for _, m := range missing {
		c.Missing = append(c.Missing, m...)
	}
	slices.Sort(c.Missing)
	c.Missing = slices.Compact(c.Missing)
	return c
}

func ask(ctx context.Context, q Querier, what, query string, at time.Time, deadline time.Duration) (promql.Vector, []string) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	v, notes, err := q.Instant(ctx, query, at)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil {
			err = cause // without the query, which people did not write
		}
		return nil, []string{fmt.Sprintf("%s: %v", what, err)}
	}
	var missing []string
	for _, note := range notes.AsErrors() {
		missing = append(missing, note.Error())
	}
	return v, missing
}

func recordedWindow(e Explanation) string {
	if e.Calendar != nil {
		return e.Calendar.Unit
	}
	return e.Budget.Window
}

// board sorts samples by cluster and group.
type board struct {
	standings map[string]*Standing
}

func (b board) take(s promql.Sample) {
	name := s.Metric.Get(model.MetricNameLabel)
	st := b.standing(s.Metric)
	switch {
	case name == "ALERTS":
		st.Firing = append(st.Firing, strings.TrimSpace(s.Metric.Get("severity")+" "+cmp.Or(s.Metric.Get("tier"), s.Metric.Get("alertname"))))
		slices.Sort(st.Firing)
	case math.IsNaN(s.F) || math.IsInf(s.F, 0):
	case strings.HasPrefix(name, ratioPrefix):
		st.Ratios[strings.TrimPrefix(name, ratioPrefix)] = s.F
	case strings.HasPrefix(name, totalPrefix):
		st.Traffic = &s.F
	case strings.HasPrefix(name, "slo:current_burn_rate"):
		st.Burn = &s.F
	default:
		st.BudgetLeft = &s.F
	}
}

// standing returns the standing that a series belongs to.
func (b board) standing(ls labels.Labels) *Standing {
	own := map[string]string{}
	alert := ls.Get(model.MetricNameLabel) == "ALERTS"
	known := []string{model.MetricNameLabel, "slo", "service", "tier", "severity", "alertname", "alertstate", "percent", "calendar"}
	ls.Range(func(l labels.Label) {
		if !slices.Contains(known, l.Name) {
			own[l.Name] = l.Value
		}
	})
	if alert {
		own = b.nearest(own)
	}
	key := Standing{Labels: own}.Where()
	if b.standings[key] == nil {
		b.standings[key] = &Standing{Labels: own, Ratios: map[string]float64{}}
	}
	return b.standings[key]
}

// nearest returns the labels of the standing that an alert is about: alerts
// have labels besides, which the SLO gives them.
func (b board) nearest(alert map[string]string) map[string]string {
	best := alert
	most := -1
	for _, st := range b.standings {
		same := 0
		for name, value := range st.Labels {
			if alert[name] != value {
				same = -1
				break
			}
			same++
		}
		if same > most {
			best, most = st.Labels, same
		}
	}
	return best
}

func (b board) sorted() []Standing {
	out := []Standing{}
	for _, key := range slices.Sorted(maps.Keys(b.standings)) {
		out = append(out, *b.standings[key])
	}
	return out
}

// Quietest returns the least traffic of all clusters and groups that have
// any, in events a second; 0 when it is not known.
func (c Current) Quietest() float64 {
	least := 0.0
	for _, s := range c.Standings {
		if s.Traffic != nil && *s.Traffic > 0 && (least == 0 || *s.Traffic < least) {
			least = *s.Traffic
		}
	}
	return least
}
