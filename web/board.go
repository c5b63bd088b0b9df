package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// boardLimit is how long the board waits for its sources; what is late is
// named instead.
const boardLimit = 5 * time.Second

// boardView is the content of the first page.
type boardView struct {
	State     state
	Warnings  []string
	Incidents []incidentRow
	More      int  // open incidents that are not shown
	Blind     bool // the incidents could not be read
	SLOs      []sloRow
	SLOsMore  int
	SLOsBlind bool
	SLOsAt    stamp
	Watches   []watchRow
}

// state is the one line that says how things are.
type state struct {
	Text   string
	Detail string
	Tone   tone
}

type incidentRow struct {
	ID       int64
	Level    string
	Title    string
	Service  string
	SLO      string
	Clusters []string
	Status   string
	Who      string // acknowledged or resolved it; "" for nobody or the alerts themselves
	Stale    bool
	Done     bool
	Urgent   bool   // nobody looks after it, and somebody should at once
	Quiet    string // why nobody is paged, in a word: muted, snoozed; "" when somebody is
	Why      string // the same in full
	Drill    bool
	Since    stamp
	Lasting  string
}

type sloRow struct {
	Service     string
	Name        string
	Description string
	Objective   string
	Window      string
	Runbook     string
	Critical    bool
	Worst       clusterRow // the least budget left
	Burn        string     // the highest burn rate
	BurnTone    tone
	BurnIn      string // the cluster that has it
	Clusters    []clusterRow
	Spark       spark
	rank        float64
}

type clusterRow struct {
	Cluster string
	Budget  string
	Bar     bar
}

type watchRow struct {
	Schedule string
	Now      shiftRow
	Next     shiftRow
}

type shiftRow struct {
	Name     string // "" is a gap
	User     string
	From     stamp
	Until    stamp
	Override bool
}

// board shows open incidents, every SLO, and who is on call. A source that
// fails or is late is named and hides nothing else.
func (h *Handler) board(w http.ResponseWriter, r *http.Request) error {
	now := h.Now()
	ctx, cancel := context.WithTimeout(r.Context(), boardLimit)
	defer cancel()
	var (
		v          boardView
		open       []alert.Incident
		standings  Standings
		openErr    error
		boardErr   error
		collecting sync.WaitGroup
	)
	collecting.Go(func() { open, openErr = h.Incidents.List(ctx, false) })
	collecting.Go(func() { standings, boardErr = h.Board.Board(ctx) })
	collecting.Wait()
	if openErr != nil {
		v.Blind = true
		v.warn("The incidents cannot be read: " + h.explain(r, openErr).text + ".")
	}
	if boardErr != nil {
		v.SLOsBlind = true
		v.warn("The SLOs' figures cannot be read: " + h.explain(r, boardErr).text + ".")
	}
	for _, text := range standings.Warnings {
		v.warn(text)
	}
	v.Incidents, v.More = h.incidentRows(open, now)
	v.SLOs, v.SLOsMore = sloRows(standings.SLOs)
	v.SLOsAt = h.stamp(standings.At, now)
	v.Watches = h.watchRows(h.OnCall.Watches(now), now)
	open = slices.DeleteFunc(slices.Clone(open), func(i alert.Incident) bool { return i.Drill }) // nothing is wrong
	v.State = newState(open, standings.SLOs, openErr != nil, len(v.Warnings) > 0)
	alarm := slices.ContainsFunc(open, func(i alert.Incident) bool { return i.Level == alert.P1 })
	return h.show(w, http.StatusOK, "board", frame{Title: v.State.Text, Alarm: alarm, Refresh: 20, Content: v})
}

func (v *boardView) warn(text string) { v.Warnings = append(v.Warnings, text) }

// newState says how things are, and never says quiet of what it cannot see.
func newState(open []alert.Incident, slos []SLO, blind, partial bool) state {
	switch {
	case blind:
		return state{Text: "State unknown", Detail: "the incidents cannot be read", Tone: bad}
	case len(open) == 0 && partial:
		return state{Text: "Quiet, as far as is known", Detail: budgets(slos), Tone: low}
	case len(open) == 0:
		return state{Text: "All quiet", Detail: budgets(slos)}
	}
	byLevel := map[alert.Level]int{}
	acknowledged := 0
	for _, i := range open {
		byLevel[i.Level]++
		if i.Status == alert.Acknowledged {
			acknowledged++
		}
	}
	var parts []string
	for _, l := range []alert.Level{alert.P1, alert.P2, alert.P3, alert.Info} {
		if n := byLevel[l]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, l))
		}
	}
	s := state{Text: strings.Replace(parts[0], " ", " open ", 1), Tone: levelTone(open)}
	details := parts[1:]
	if acknowledged == len(open) {
		details = append(details, "all acknowledged")
	} else {
		details = append(details, fmt.Sprintf("%d not acknowledged", len(open)-acknowledged))
	}
	s.Detail = strings.Join(append(details, budgets(slos)), " · ")
	return s
}

func levelTone(open []alert.Incident) tone {
	highest := slices.MinFunc(open, func(a, b alert.Incident) int { return cmp.Compare(a.Level, b.Level) })
	switch highest.Level {
	case alert.P1:
		return bad
	case alert.P2:
		return low
	case alert.P3, alert.Info:
	}
	return calm
}

// budgets says in a few words how many SLOs have overspent.
func budgets(slos []SLO) string {
	spent := 0
	for _, s := range slos {
		if worst, ok := leastLeft(s); ok && worst < 0 {
			spent++
		}
	}
	switch {
	case len(slos) == 0:
		return "no SLOs are known"
	case spent == 0:
		return plural(len(slos), "SLO") + ", no budget overspent"
	}
	return fmt.Sprintf("%d of %s overspent", spent, plural(len(slos), "budget"))
}

func leastLeft(s SLO) (worst float64, ok bool) {
	worst = math.Inf(1)
	for _, st := range s.Standings {
		if known(st.BudgetLeft) {
			worst, ok = min(worst, st.BudgetLeft), true
		}
	}
	return worst, ok
}

// incidentRows orders incidents by level, those that nobody looks after
// first, and then by age; drills come after what is wrong.
func (h *Handler) incidentRows(incidents []alert.Incident, now time.Time) (rows []incidentRow, more int) {
	incidents = slices.Clone(incidents)
	order := map[alert.Status]int{alert.Open: 0, alert.Acknowledged: 1, alert.Closed: 2}
	exercise := map[bool]int{true: 1}
	slices.SortStableFunc(incidents, func(a, b alert.Incident) int {
		return cmp.Or(
			cmp.Compare(order[a.Status]/2, order[b.Status]/2), // the resolved ones last
			cmp.Compare(exercise[a.Drill && a.Status != alert.Closed], exercise[b.Drill && b.Status != alert.Closed]),
			cmp.Compare(a.Level, b.Level),
			cmp.Compare(order[a.Status], order[b.Status]))
	})
	if len(incidents) > maxIncidents {
		incidents, more = incidents[:maxIncidents], len(incidents)-maxIncidents
	}
	for _, i := range incidents {
		rows = append(rows, h.incidentRow(i, now))
	}
	return rows, more
}

func (h *Handler) incidentRow(i alert.Incident, now time.Time) incidentRow {
	row := incidentRow{
		ID: i.ID, Level: i.Level.String(), Title: i.Title, Service: i.Service, SLO: i.SLO,
		Clusters: i.Clusters(), Status: string(i.Status), Who: i.AckedBy, Stale: i.Stale,
		Done: i.Status == alert.Closed, Urgent: i.Status == alert.Open && i.Level.Outranks(alert.P3),
		Since: h.stamp(i.Since, now), Lasting: lasting(now.Sub(i.Since)),
	}
	if row.Title == "" {
		row.Title = i.Key
	}
	row.Drill = i.Drill
	switch {
	case row.Done:
	case i.Muted != "":
		row.Quiet, row.Why = "muted", i.Muted
	case i.SnoozedUntil.After(now):
		row.Quiet, row.Why = "snoozed", "until "+h.stamp(i.SnoozedUntil, now).Text
	}
	if row.Done {
		row.Who, row.Lasting = i.ResolvedBy, lasting(i.ResolvedAt.Sub(i.Since))
	}
	return row
}

// sloRows puts the SLOs in most trouble first, then those that nothing is
// known of.
func sloRows(slos []SLO) (rows []sloRow, more int) {
	for _, s := range slos {
		rows = append(rows, newSLORow(s))
	}
	slices.SortStableFunc(rows, func(a, b sloRow) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Name, b.Name))
	})
	if len(rows) > maxSLOs {
		rows, more = rows[:maxSLOs], len(rows)-maxSLOs
	}
	return rows, more
}

func newSLORow(s SLO) sloRow {
	row := sloRow{
		Service: s.Service, Name: s.Name, Description: s.Description, Objective: s.Objective,
		Window: s.Window, Runbook: link(s.Runbook), Critical: s.Critical, Spark: newSpark(s.Trend),
		Burn: unknown, BurnTone: mute, Worst: newClusterRow("", math.NaN()),
	}
	worst, burn := math.Inf(1), math.Inf(-1)
	for _, st := range s.Standings {
		c := newClusterRow(st.Cluster, st.BudgetLeft)
		row.Clusters = append(row.Clusters, c)
		if known(st.BudgetLeft) && st.BudgetLeft < worst {
			worst, row.Worst, row.rank = st.BudgetLeft, c, st.BudgetLeft
		}
		if known(st.BurnRate) && st.BurnRate > burn {
			burn, row.Burn, row.BurnTone, row.BurnIn = st.BurnRate, burnRate(st.BurnRate), burnTone(st.BurnRate), st.Cluster
		}
	}
	return row
}

func newClusterRow(cluster string, left float64) clusterRow {
	return clusterRow{Cluster: cluster, Budget: budget(left), Bar: newBar(left)}
}

func (h *Handler) watchRows(watches []wire.Watch, now time.Time) (rows []watchRow) {
	for _, wa := range watches {
		rows = append(rows, watchRow{Schedule: wa.Schedule, Now: h.shiftRow(wa.Now, now), Next: h.shiftRow(wa.Next, now)})
	}
	return rows
}

func (h *Handler) shiftRow(s wire.Shift, now time.Time) shiftRow {
	return shiftRow{
		Name: cmp.Or(s.FullName, s.User), User: s.User, Override: s.Override,
		From: h.stamp(s.From, now), Until: h.stamp(s.Until, now),
	}
}

// incidents shows all incidents, the open ones first.
func (h *Handler) incidents(w http.ResponseWriter, r *http.Request) error {
	all, err := h.Incidents.List(r.Context(), true)
	if err != nil {
		return fmt.Errorf("list incidents: %w", err)
	}
	var v boardView
	v.Incidents, v.More = h.incidentRows(all, h.Now())
	return h.show(w, http.StatusOK, "incidents", frame{Title: "Incidents", Refresh: 60, Content: v})
}
