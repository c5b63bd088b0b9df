package incident

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
)

// InhibitRule keeps alerts from paging while another fires, as an inhibition
// rule of Alertmanager does: the target matches Target, the other matches
// Source, and both have the same values of the labels Equal, where a label
// that is missing has the value "". An alert that matches both sides is not
// inhibited by one that does too, so never by itself.
//
// An alert inhibits while it fires and its incident is not resolved. One that
// expired does not: its sender fell silent.
type InhibitRule struct {
	Name     string // as a reader of a story knows it
	Source   labels.Matchers
	Target   labels.Matchers
	Equal    []string
	NotAbove bool // only targets that are not more urgent than the source
}

// names of alerts that Midwatch makes itself.
const (
	ownService    = "midwatch"
	clusterSilent = "MidwatchClusterSilent"
)

// DefaultInhibitions are the rules that suit Midwatch's own alerts: what burns
// over the whole fleet mutes the same in single clusters, a fast tier mutes
// the slower ones, and a cluster that cannot alert mutes the rest of what it
// said. None of them mutes what is more urgent.
//
// tiers are the values of the label tier, fastest first; groups the labels
// that SLOs have a budget each for: another group's budget mutes nothing.
func DefaultInhibitions(tiers, groups []string) []InhibitRule {
	slo := labels.Matchers{not(alert.LabelService, ""), not(alert.LabelSLO, "")}
	budget := append([]string{alert.LabelService, alert.LabelSLO}, groups...)
	rules := []InhibitRule{{
		Name:     "it burns in the whole fleet",
		Source:   append(slices.Clone(slo), is(alert.LabelCluster, "")),
		Target:   append(slices.Clone(slo), not(alert.LabelCluster, "")),
		Equal:    budget,
		NotAbove: true,
	}}
	for i := range max(0, len(tiers)-1) {
		rules = append(rules, InhibitRule{
			Name:     "it burns faster, as tier " + tiers[i] + " says",
			Source:   append(slices.Clone(slo), is(alert.LabelTier, tiers[i])),
			Target:   append(slices.Clone(slo), among(alert.LabelTier, tiers[i+1:])),
			Equal:    append(slices.Clone(budget), alert.LabelCluster),
			NotAbove: true,
		})
	}
	return append(rules, InhibitRule{
		Name:     "its cluster cannot alert",
		Source:   labels.Matchers{is(model.AlertNameLabel, clusterSilent), is(alert.LabelService, ownService)},
		Target:   labels.Matchers{not(alert.LabelCluster, ""), not(alert.LabelService, ownService)},
		Equal:    []string{alert.LabelCluster},
		NotAbove: true,
	})
}

func is(name, value string) *labels.Matcher {
	return &labels.Matcher{Type: labels.MatchEqual, Name: name, Value: value}
}

func not(name, value string) *labels.Matcher {
	return &labels.Matcher{Type: labels.MatchNotEqual, Name: name, Value: value}
}

// among matches one of the values, which hold letters and digits.
func among(name string, values []string) *labels.Matcher {
	m, err := labels.NewMatcher(labels.MatchRegexp, name, strings.Join(values, "|"))
	if err != nil {
		return is(name, values[0])
	}
	return m
}

// inhibition is a rule with what tells it from others.
type inhibition struct {
	InhibitRule

	id string
}

func newInhibitions(rules []InhibitRule) ([]inhibition, error) {
	all := make([]inhibition, len(rules))
	for i, r := range rules {
		if len(r.Source) == 0 || len(r.Target) == 0 {
			return nil, fmt.Errorf("inhibition %q: matchers of its source and of its target are required", r.Name)
		}
		equal := slices.Clone(r.Equal)
		slices.Sort(equal)
		r.Equal = slices.Compact(equal)
		all[i] = inhibition{InhibitRule: r, id: digest(r.Source.String(), r.Target.String(), strings.Join(r.Equal, "\x00"))}
	}
	return all, nil
}

// key is what a source and its targets have in common. It is a digest that
// nobody can make equal by choosing labels.
func (r inhibition) key(set model.LabelSet) string {
	parts := make([]string, 0, 8)
	parts = append(parts, r.id)
	for _, name := range r.Equal {
		parts = append(parts, string(set[model.LabelName(name)]))
	}
	return digest(parts...)
}

// digest returns 128 bits of a hash of the parts.
func digest(parts ...string) string {
	var b []byte
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:16])
}

// keepInhibitors keeps which alerts inhibit others by the rules of now, unless
// they are kept so already.
func (e *Engine) keepInhibitors(tx Tx, rules []inhibition) error {
	ids := make([]string, len(rules))
	for i, r := range rules {
		ids[i] = r.id
	}
	version := digest(ids...)
	if known, err := tx.Mark(inhibitionsVersion); err != nil || known == version {
		return err
	}
	if err := tx.ClearInhibitors(); err != nil {
		return err
	}
	err := tx.EachLiveAlert(func(a alert.Alert) error { return addInhibitors(tx, rules, &a) })
	if err != nil {
		return err
	}
	return tx.SetMark(inhibitionsVersion, version)
}

// inhibitionsVersion is the mark that says by which rules sources are kept.
const inhibitionsVersion = "inhibitions"

func isSource(rules []inhibition, a alert.Alert) bool {
	return slices.ContainsFunc(rules, func(r inhibition) bool { return r.Source.Matches(a.Labels) })
}

// addInhibitors keeps what alerts inhibit while they fire.
func addInhibitors(tx Tx, rules []inhibition, alerts ...*alert.Alert) error {
	for _, a := range alerts {
		for _, r := range rules {
			if a.State != alert.Firing || !r.Source.Matches(a.Labels) {
				continue
			}
			if err := tx.AddInhibitor(r.key(a.Labels), *a, r.Target.Matches(a.Labels)); err != nil {
				return err
			}
		}
	}
	return nil
}

// loosen forgets what alerts inhibited that fire no more, and has those whom
// they may have muted looked at again. It tells whether there were any.
func (e *Engine) loosen(tx Tx, over []*alert.Alert, at time.Time) (woke bool, err error) {
	rules := e.quiet.inhibitions()
	var ids []int64
	for _, a := range over {
		if a.ID != 0 && isSource(rules, *a) {
			ids = append(ids, a.ID)
		}
	}
	if len(ids) == 0 {
		return false, nil
	}
	if err := tx.DropInhibitors(ids); err != nil {
		return false, err
	}
	_, err = tx.WakeMuted(at)
	return true, err
}

// afterExpiry does what follows from alerts of an incident that expired.
func (e *Engine) afterExpiry(tx Tx, id int64, expired []*alert.Alert, at time.Time) error {
	if _, err := e.loosen(tx, expired, at); err != nil {
		return err
	}
	found, err := tx.IncidentsByID([]int64{id})
	if err != nil || len(found) == 0 || found[0].Status == alert.Closed {
		return err
	}
	return e.refresh(tx, found[0], at)
}
