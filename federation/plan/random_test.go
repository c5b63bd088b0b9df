package plan

import (
	"flag"
	"fmt"
	oldrand "math/rand" //nolint:depguard // promqlsmith takes its type.
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cortexproject/promqlsmith"
)

var (
	randomQueries = flag.Int("plan.queries", 2400, "random queries whose plans must give the answers of one Prometheus")
	randomSeed    = flag.Uint64("plan.seed", 1, "seed of the random queries")
)

// fleets are ways in which clusters can be labelled.
var fleets = map[string][]Cluster{
	"plain": {
		{Labels: map[string]string{"cluster": "a"}, Dropped: []string{"replica"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "c"}, Pushes: PushAll},
	},
	"regions": {
		{Labels: map[string]string{"cluster": "a", "region": "x"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b", "region": "x"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "c", "region": "y"}, Pushes: PushAll},
	},
	"uneven": {
		{Labels: map[string]string{"cluster": "a"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b", "region": "x"}, Pushes: PushAll},
		{Labels: map[string]string{"region": "y"}, Pushes: PushAll},
	},
	"lacking": {
		{Labels: map[string]string{"cluster": "a"}, Absent: []string{"region"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b", "region": "x"}, Pushes: PushAll},
		{Labels: map[string]string{"region": "y"}, Absent: []string{"cluster"}, Pushes: PushAll},
	},
	"late": {
		{Name: late, Labels: map[string]string{"cluster": "a"}, Absent: []string{"region"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b", "region": "x"}, Pushes: PushAll},
		{Labels: map[string]string{"region": "y"}, Absent: []string{"cluster"}, Pushes: PushAll},
	},
	"own": {
		{Labels: map[string]string{"cluster": "a"}, Pushes: PushAll},
		{Labels: map[string]string{"cluster": "b"}, Pushes: PushSelectors},
		{Dropped: []string{"cluster"}, Pushes: PushAll},
	},
}

// late is a cluster that has series with what it is said to lack: they came
// after it was asked.
const late = "late"

// Random queries, planned over random data, have the answers of one
// Prometheus.
func TestRandomQueries(t *testing.T) {
	for name, clusters := range fleets {
		t.Run(name, func(t *testing.T) {
			o := newOracle(t, *randomSeed, clusters...)
			smith := promqlsmith.New(oldrand.New(oldrand.NewSource(int64(*randomSeed))), o.labels,
				promqlsmith.WithEnableOffset(true), promqlsmith.WithEnableAtModifier(true),
				promqlsmith.WithAtModifierMaxTimestamp(origin+scrapes*scrape),
				promqlsmith.WithEnableVectorMatching(true), promqlsmith.WithMaxDepth(4))
			g := &grammar{rand.New(rand.NewPCG(*randomSeed, 9))}
			n := *randomQueries / len(fleets)
			for i := range n {
				query := g.vector(1 + g.IntN(4))
				if i%3 == 0 {
					query = smith.WalkRangeQuery().Pretty(0)
				}
				o.check(t, strings.ReplaceAll(query, "\n", " "), g.window())
			}
			t.Logf("seed %d: %d queries, %d parts asked, %d plans held, %d undetermined", *randomSeed, n, o.parts, o.held, o.undetermined)
			if name != "uneven" && o.parts < n/2 || o.undetermined > n/10 {
				t.Errorf("too little was planned, or too little is determined")
			}
		})
	}
}

// grammar writes random queries of what the planner tells apart.
type grammar struct{ *rand.Rand }

func (g *grammar) of(list ...string) string { return list[g.IntN(len(list))] }

// some returns a few of a list.
func (g *grammar) some(list ...string) string {
	var out []string
	for _, one := range list {
		if g.IntN(3) == 0 {
			out = append(out, one)
		}
	}
	return strings.Join(out, ", ")
}

func (g *grammar) window() Window {
	start := origin + g.Int64N(scrapes*scrape)
	if g.IntN(4) == 0 {
		start += 60_000 - start%60_000
	}
	if g.IntN(3) == 0 {
		return Window{Start: start, End: start}
	}
	step := []int64{997, 15_000, 60_000, 97_000, 300_000}[g.IntN(5)]
	return Window{Start: start, End: start + step*g.Int64N(12) + g.Int64N(step), Step: step}
}

func (g *grammar) duration() string { return g.of("15s", "1m", "2m30s", "5m", "999ms") }

func (g *grammar) when() string {
	switch g.IntN(12) {
	case 0:
		return " offset " + g.duration()
	case 1:
		return " offset -" + g.duration()
	case 2:
		return fmt.Sprintf(" @ %.3f", float64(origin+g.Int64N(scrapes*scrape))/1000)
	case 3:
		return g.of(" @ start()", " @ end()") + g.of("", " offset 1m", " offset -30s")
	}
	return ""
}

func (g *grammar) labels() string {
	return g.some("app", "pod", "cluster", "region", "replica", "status", "nowhere", "__name__")
}

func (g *grammar) grouping() string {
	return g.of("", " by ("+g.labels()+")", " by ("+g.labels()+")", " without ("+g.labels()+")")
}

func (g *grammar) selector(name string) string {
	var ms []string
	for range g.IntN(3) {
		label := g.of("app", "pod", "cluster", "cluster", "region", "replica")
		ms = append(ms, fmt.Sprintf("%s%s%q", label, g.of("=", "!=", "=~", "!~"), g.of("a", "b", "c|a", "", "x", "order", "user", "self", ".+")))
	}
	if name == "" {
		name = g.of("req_total", "load", "load", "limit", "dur_bucket", "hist", "both", "unclean", "nothing", `{__name__=~"load|limit"}`)
	}
	if strings.HasPrefix(name, "{") {
		return name
	}
	return name + "{" + strings.Join(ms, ",") + "}"
}

func (g *grammar) scalar(depth int) string {
	switch g.IntN(8) {
	case 0:
		return "scalar(" + g.vector(depth-1) + ")"
	case 1:
		return "time()"
	case 2:
		return "scalar(vector(" + g.scalar(depth-1) + "))"
	case 3:
		return "(2 " + g.of("+", "*", "-", "/", "^") + " -3)"
	}
	return g.of("0", "1", "-2.5", "0.5", "NaN", "1e3", "Inf")
}

func (g *grammar) matrix(depth int) string {
	if depth > 0 && g.IntN(2) == 0 {
		return fmt.Sprintf("(%s)[%s:%s]%s", g.vector(depth-1), g.duration(), g.of("", "30s", "1m", "7s"), g.when())
	}
	return fmt.Sprintf("%s[%s]%s", g.selector(""), g.duration(), g.when())
}

func (g *grammar) matching() string {
	return g.of("", " on ("+g.labels()+")", " ignoring ("+g.labels()+")", " on (cluster, app)", " on (cluster, app, pod)", " on (app)")
}

// vector returns an instant vector of that depth or less.
func (g *grammar) vector(depth int) string {
	if depth <= 0 {
		return g.selector("") + g.when()
	}
	v := func() string { return g.vector(depth - 1) }
	switch g.IntN(22) {
	case 0, 1, 2:
		return fmt.Sprintf("%s%s (%s)", g.of("sum", "min", "max", "count", "group", "avg", "stddev", "stdvar"), g.grouping(), v())
	case 3:
		return fmt.Sprintf("%s%s (%s, %s)", g.of("topk", "bottomk", "quantile"), g.grouping(), g.of("1", "2", "0.5", "0", g.scalar(depth-1)), v())
	case 4:
		return fmt.Sprintf("count_values%s (%q, %s)", g.grouping(), g.of("value", "cluster", "app"), v())
	case 5, 6, 7:
		return fmt.Sprintf("%s(%s)", g.of("rate", "increase", "delta", "max_over_time", "avg_over_time", "last_over_time", "count_over_time", "changes", "irate", "present_over_time", "deriv", "first_over_time", "stddev_over_time"), g.matrix(depth))
	case 8:
		return g.of("predict_linear("+g.matrix(depth)+", "+g.scalar(1)+")", "quantile_over_time("+g.scalar(1)+", "+g.matrix(depth)+")")
	case 9, 10:
		return fmt.Sprintf("%s %s%s%s", g.operand(v()), g.of("+", "-", "*", "/", ">", "== bool", "<=", "atan2", "%", "!="), g.matching(), " "+g.operand(v()))
	case 11:
		side := g.of("left", "right")
		return fmt.Sprintf("%s %s %s group_%s (%s) %s", g.operand(v()), g.of("+", "*", ">", "== bool"), g.of("on ("+g.labels()+")", "ignoring ("+g.labels()+")", "on (cluster, app)"), side, g.some("status", "nowhere", "cluster"), g.operand(v()))
	case 12, 13:
		return fmt.Sprintf("%s %s%s %s", g.operand(v()), g.of("and", "or", "unless", "or"), g.matching(), g.operand(v()))
	case 14, 15:
		return fmt.Sprintf("%s %s %s", g.operand(v()), g.of("+", "*", ">", "< bool", "==", "%"), g.scalar(depth-1))
	case 16:
		return fmt.Sprintf("%s %s %s", g.scalar(depth-1), g.of("-", "/", "<", "> bool"), g.operand(v()))
	case 17:
		return fmt.Sprintf("%s(%s)", g.of("absent", "abs", "ceil", "sgn", "timestamp", "sort", "sort_desc", "-", "minute", "histogram_count", "histogram_avg"), v())
	case 18:
		return fmt.Sprintf("absent_over_time(%s)", g.matrix(depth))
	case 19:
		return fmt.Sprintf("label_replace(%s, %q, %q, %q, %q)", v(), g.of("app", "cluster", "new", "__name__"), g.of("x", "$1-y", ""), g.of("app", "cluster", "pod"), g.of("(.*)", "order", "(a|b).*"))
	case 20:
		return fmt.Sprintf("histogram_quantile(%s, %s)", g.of("0.9", "0.5", "2", g.scalar(1)), g.of(v(), "sum by (le, "+g.of("app", "cluster")+") (rate("+g.selector("dur_bucket")+"[2m]))", "dur_bucket"))
	}
	return g.of("vector("+g.scalar(depth-1)+")", "timestamp("+g.selector("")+g.when()+")", "clamp_max("+v()+", "+g.scalar(depth-1)+")", "label_join("+v()+`, "new", "-", "app", "pod")`, g.selector("")+g.when())
}

func (g *grammar) operand(v string) string { return "(" + v + ")" }
