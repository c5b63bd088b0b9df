package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/midwatch-slo/midwatch/slo"
)

// Where many SLOs of a service have the same parameters, but for their texts,
// one of them spells these out, and the others take them from it, in one
// group: to read seven series costs Prometheus a quarter of what it costs to
// make them of constants, and a group for each SLO costs as much as a small
// rule.
const (
	manyAlike = 16      // SLOs from which on they share
	mostAlike = 64      // SLOs in a group, about
	mostTexts = 2 << 10 // bytes of its own that an SLO adds to a group, so that it fits into any file
)

// contentLabel tells, of parameters that others take, what they say: an SLO
// never takes what another one said before it was edited. Of those that are
// taken it is the same whatever they say, so that they go on as the same
// series when they are edited.
const (
	contentLabel = "parameters"
	takenContent = "taken"
)

// peers are SLOs of a service that share their parameters.
type peers struct {
	content string // of the leader's label
	leader  string // the SLO that spells them out
	at      int    // of their group, in the file of the service
}

// share notes which SLOs of one service share their parameters.
func (c *compiler) share(slos []slo.SLO) {
	c.alike = nil
	if len(slos) < manyAlike {
		return
	}
	type look struct { // most SLOs that are unlike differ in one of these
		objective, owner, team string
		critical               bool
	}
	looks := func(s *slo.SLO) look { return look{s.Objective.String(), s.Owner, s.Team, s.Critical} }
	count := map[look]int{}
	for i := range slos {
		count[looks(&slos[i])]++
	}
	byKey := map[string][]*slo.SLO{}
	for i := range slos {
		s := &slos[i]
		if count[looks(s)] >= manyAlike && s.SLI.Composite == nil && ownBytes(*s) <= mostTexts {
			c.memo.key = parametersKey(c.memo.key[:0], *s)
			byKey[string(c.memo.key)] = append(byKey[string(c.memo.key)], s)
		}
	}
	c.alike = map[string]*peers{}
	for key, same := range byKey {
		if len(same) >= manyAlike {
			c.lead(key, same)
		}
	}
}

// lead makes groups of SLOs that are alike. In which an SLO is depends on its
// name and on how many there are, a power of two, so that another SLO does not
// move those that are there.
func (c *compiler) lead(key string, same []*slo.SLO) {
	groups := uint32(1)
	for len(same) > mostAlike*int(groups) {
		groups *= 2
	}
	made := map[uint32]*peers{}
	for _, s := range same {
		h := fnv.New32a()
		_, _ = h.Write([]byte(s.Name)) // it never fails
		in := mix(h.Sum32()) % groups
		if made[in] == nil {
			made[in] = &peers{content: digest(fmt.Sprint(in, " ", key)), leader: s.Name, at: -1}
		}
		c.alike[s.Name] = made[in]
	}
}

// ownBytes returns how much of the rule of an SLO's parameters is its own, in
// bytes, beside its name.
func ownBytes(s slo.SLO) int {
	n := len(s.Runbook) + len(s.Owner) + len(s.Team)
	for _, texts := range []map[string]string{s.Labels, s.Annotations, s.Alerts.Page.Annotations, s.Alerts.Ticket.Annotations} {
		for name, value := range texts {
			n += 3*len(name) + len(value)
		}
	}
	return n
}

// digest is a short name of a text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

// parameterGroup adds the rule of an SLO's parameters to the file of its
// service: to a group of its own, or to that of the SLOs like it.
func (c *compiler) parameterGroup(f *File, s slo.SLO) {
	with := c.alike[s.Name]
	if with == nil || s.SLI.Composite != nil {
		f.Groups = append(f.Groups, group("parameters/"+s.ID(), slow, c.parameters(s)))
		return
	}
	if with.at < 0 {
		with.at = len(f.Groups)
		f.Groups = append(f.Groups, group("parameters-alike/"+s.Service+"/"+with.leader, slow))
	}
	g := &f.Groups[with.at]
	g.Rules = append(g.Rules, c.shared(s, with))
}

// shared returns the rule of the parameters of an SLO that is like others.
func (c *compiler) shared(s slo.SLO, with *peers) rulefmt.Rule {
	if s.Name == with.leader {
		r := c.parameters(s)
		r.Labels[contentLabel] = with.content
		return r
	}
	own := parameterLabels(s)
	own[contentLabel] = takenContent
	known := withoutTexts(s.Service, with.leader, eq(contentLabel, with.content))
	return c.record(parameterSeries, chain(parser.LOR, append([]parser.Expr{known}, texts(s)...)...), own)
}

// withoutTexts selects the parameters of an SLO but for its texts.
func withoutTexts(service, name string, more ...*labels.Matcher) *parser.VectorSelector {
	ms := slices.Concat(more, []*labels.Matcher{eq("service", service), eq("slo", name)})
	for _, text := range []string{parameterText, parameterPageText, parameterTicketText} {
		ms = append(ms, ne("parameter", text))
	}
	return series(parameterSeries, ms...)
}

// keeping returns the rule of parameters that are another SLO's so that it
// keeps what it has where it does not see yet what that one's has recorded.
func (c *compiler) keeping(r rulefmt.Rule) string {
	e, err := newParser().ParseExpr(r.Expr)
	if err != nil {
		c.errs = append(c.errs, fmt.Errorf("%s: %w", r.Record, err))
		return r.Expr
	}
	done := false
	return c.print(r.Record, replaced(e, func(e parser.Expr) parser.Expr {
		vs, ok := e.(*parser.VectorSelector)
		if !ok || vs.Name != parameterSeries || done {
			return e
		}
		done = true
		own := &parser.AggregateExpr{Op: parser.MAX, Without: true, Grouping: []string{contentLabel}, Expr: withoutTexts(r.Labels["service"], r.Labels["slo"])}
		known := either(vs, own).(*parser.BinaryExpr)
		known.VectorMatching.On = true
		return operand(known)
	}))
}

// parametersKey appends all that the parameters of an SLO depend on, but its
// texts.
func parametersKey(b []byte, s slo.SLO) []byte {
	text := func(t string) { b = append(append(strconv.AppendInt(b, int64(len(t)), 10), ':'), t...) }
	b = policyKey(b, s)
	text(s.Service)
	text(s.Window.String())
	unit, zone := s.Window.Calendar()
	text(string(unit))
	if unit != "" {
		text(zone.String())
	}
	text(strconv.Itoa(s.Alerts.MinFailures))
	text(s.Alerts.Confidence.String())
	for _, spent := range s.Alerts.BudgetSpent {
		text(spent.Percent.String())
		text(spent.Severity)
	}
	text(strings.Join(s.GroupBy, ","))
	own := ownLabels(s)
	for _, name := range slices.Sorted(maps.Keys(own)) {
		text(name)
		text(own[name])
	}
	return b
}
