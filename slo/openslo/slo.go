package openslo

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/slo"
	"github.com/midwatch-slo/midwatch/slo/foreign"
)

// The budgeting methods.
const (
	occurrences     = "Occurrences"
	timeslices      = "Timeslices"
	ratioTimeslices = "RatioTimeslices"
)

// maxList bounds the lists within an object.
const maxList = 50

// converter makes the native document of one objective of an SLO, or of the
// composite that its objectives are.
type converter struct {
	foreign.Entry

	r  *Reader
	in object[sloSpec]
	at foreign.Place
}

// from notes where a native field was made from, and returns it.
func (c *converter) from(native, theirs string) foreign.Place {
	p := c.at.Child(theirs)
	c.Places[native] = p
	return p
}

// convert makes the native documents of one SLO.
func (r *Reader) convert(s read[sloSpec]) []foreign.Entry {
	objectives := s.spec().Child("objectives")
	if n := len(s.Spec.Objectives); n == 0 || n > maxList {
		c := r.converter(s, s.at, s.at.Field, s.problems)
		c.common()
		c.Problem(objectives, fmt.Sprintf("%d objectives", n), fmt.Sprintf("1 to %d, with target", maxList))
		return []foreign.Entry{c.Entry}
	}
	composite := s.Spec.composite()
	names := names(s.Metadata.Name, s.Spec.Objectives)
	var entries []foreign.Entry
	for i, o := range s.Spec.Objectives {
		at := objectives.Item(i)
		from := at.Field
		if len(names) == 1 {
			from = s.at.Field
		}
		c := r.converter(s, at, from, problemsOf(s.problems, at.Field, i == 0, objectives.Field))
		c.common()
		c.Document.Metadata.Name = names[i]
		c.from("metadata.name", "metadata.name")
		c.objective(at, o)
		if composite {
			c.Alerts().Preset = string(slo.PresetNone) // the composite alerts
		} else {
			c.policies()
		}
		entries = append(entries, c.Entry)
	}
	if composite {
		entries = append([]foreign.Entry{r.whole(s, names)}, entries...)
	}
	return entries
}

func (r *Reader) converter(s read[sloSpec], at foreign.Place, from string, problems diag.Problems) *converter {
	c := &converter{Entry: foreign.NewEntry("OpenSLO", from, at), r: r, in: s.object, at: s.at}
	c.Problems = problems
	return c
}

// problemsOf returns the problems that are in one objective, or in none where
// rest says so: each is to be said once.
func problemsOf(problems diag.Problems, field string, rest bool, list string) (own diag.Problems) {
	for _, p := range problems {
		in := p.Field == field || strings.HasPrefix(p.Field, field+".")
		if in || rest && !strings.HasPrefix(p.Field, list+".") {
			own = append(own, p)
		}
	}
	return own
}

// names returns the names of the SLOs of an SLO's objectives: its own name
// where there is one objective; else with what tells the objective apart
// behind it, its display name or, where these are not all there and
// different, its number.
func names(name string, objectives []objective) []string {
	if len(objectives) == 1 && !composite(objectives) {
		return []string{name}
	}
	seen := map[string]bool{}
	suffixes := make([]string, len(objectives))
	for i, o := range objectives {
		suffixes[i] = foreign.Slug(o.DisplayName)
		seen[suffixes[i]] = true
	}
	for i := range suffixes {
		if len(seen) < len(objectives) || seen[""] {
			suffixes[i] = fmt.Sprint(i + 1)
		}
		suffixes[i] = name + "-" + suffixes[i]
	}
	return suffixes
}

// composite says whether the objectives have indicators of their own.
func composite(objectives []objective) bool {
	for _, o := range objectives {
		if o.Indicator != nil || o.IndicatorRef != "" {
			return true
		}
	}
	return false
}

func (s sloSpec) composite() bool { return composite(s.Objectives) }

// common carries over what all objectives of an SLO share.
func (c *converter) common() {
	meta, spec, doc := c.in.Metadata, c.in.Spec, &c.Document
	doc.Metadata.Name = meta.Name
	c.from("metadata.name", "metadata.name")
	c.from("metadata", "metadata")
	c.Labels("openslo", c.at.Child("metadata.labels").Key, joined(meta.Labels))
	c.Annotations("openslo", c.at.Child("metadata.annotations").Key, meta.Annotations)
	c.annotate("display_name", meta.DisplayName, c.at.Child("metadata.displayName"))
	doc.Spec.Service = spec.Service
	c.from("spec.service", "spec.service")
	doc.Spec.Description = spec.Description
	c.from("spec.description", "spec.description")
	if service, ok := c.r.services[spec.Service]; ok {
		c.annotate("service_display_name", service.Metadata.DisplayName, service.at.Child("metadata.displayName"))
		c.annotate("service_description", service.Spec.Description, service.spec().Child("description"))
	}
	c.window()
	c.method()
}

// annotate carries a text over as an annotation.
func (c *converter) annotate(name, text string, at foreign.Place) {
	if strings.TrimSpace(text) != "" {
		c.Annotations("openslo", func(string) foreign.Place { return at }, map[string]string{name: strings.TrimSpace(text)})
	}
}

// joined returns labels with one value each: those of a list with commas
// between them.
func joined(labels map[string]values) map[string]string {
	out := map[string]string{}
	for name, vs := range labels {
		out[name] = strings.Join(vs, ",")
	}
	return out
}

func (c *converter) method() {
	at := c.at.Child("spec.budgetingMethod")
	switch c.in.Spec.BudgetingMethod {
	case occurrences, timeslices, ratioTimeslices:
	case "":
		c.Problem(at, "missing", "one of Occurrences, Timeslices and RatioTimeslices")
	default:
		c.Problem(at, fmt.Sprintf("%q is not known", foreign.Clip(c.in.Spec.BudgetingMethod)), "one of Occurrences, Timeslices and RatioTimeslices")
	}
}

// objective carries over one objective and its indicator.
func (c *converter) objective(at foreign.Place, o objective) {
	c.Document.Spec.Objective = c.target(at, o)
	if len(c.in.Spec.Objectives) > 1 {
		c.annotate("objective", o.DisplayName, at.Child("displayName"))
	}
	c.slices(at, o)
	spec := c.at.Child("spec")
	switch own := o.Indicator != nil || o.IndicatorRef != ""; {
	case own && (c.in.Spec.Indicator != nil || c.in.Spec.IndicatorRef != ""):
		c.Problem(at, "an indicator of its own beside the SLO's", "keep one: those of objectives make a composite")
	case own:
		c.indicator(at, at, o.Indicator, o.IndicatorRef, o)
	default:
		c.indicator(spec, at, c.in.Spec.Indicator, c.in.Spec.IndicatorRef, o)
		if o.CompositeWeight != "" {
			c.Problem(at.Child("compositeWeight"), "a weight without an indicator of its own", "give each objective of a composite an indicator")
		}
	}
}

// target returns the objective in percent.
func (c *converter) target(at foreign.Place, o objective) slo.Number {
	key := "target"
	switch {
	case o.Target != "" && o.TargetPercent != "":
		c.Problem(at.Child("targetPercent"), "target and targetPercent are both given", "keep one")
		return o.TargetPercent
	case o.TargetPercent != "":
		c.Places["spec.objective"] = at.Child("targetPercent")
		return o.TargetPercent
	case o.Target == "":
		c.Problem(at.Child("target"), "missing", "the share of good events, such as 0.999, or targetPercent, such as 99.9")
		return ""
	}
	c.Places["spec.objective"] = at.Child(key)
	return c.share(at.Child(key), o.Target, "below 1, such as 0.999; targetPercent takes percent")
}

// share returns a share of 0 to 1 in percent.
func (c *converter) share(at foreign.Place, text slo.Number, hint string) slo.Number {
	d, err := slo.ParseDecimal(string(text))
	if err != nil {
		c.Problem(at, fmt.Sprintf("%q is not a decimal number", foreign.Clip(string(text))), hint)
		return ""
	}
	if d.Rat().Cmp(big.NewRat(1, 1)) > 0 {
		c.Problem(at, fmt.Sprintf("%s is above 1", text), hint)
		return ""
	}
	return percent(d.Rat())
}

// percent returns a share as a percentage, exactly where it has no more than
// ten decimal places.
func percent(share *big.Rat) slo.Number {
	text := share.Mul(share, big.NewRat(100, 1)).FloatString(10)
	return slo.Number(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

// slices carries over how time is sliced. A slice that is written as a number
// is in minutes.
func (c *converter) slices(at foreign.Place, o objective) {
	window, target := at.Child("timeSliceWindow"), at.Child("timeSliceTarget")
	if c.in.Spec.BudgetingMethod != timeslices && c.in.Spec.BudgetingMethod != ratioTimeslices {
		for _, p := range []struct {
			at   foreign.Place
			text slo.Number
		}{{window, o.TimeSliceWindow}, {target, o.TimeSliceTarget}} {
			if p.text != "" {
				c.Problem(p.at, "of slices, while budgetingMethod does not count them", "Timeslices or RatioTimeslices, or remove it")
			}
		}
		return
	}
	out := &slo.SlicesText{}
	c.Document.Spec.Slices = out
	c.Places["spec.slices"], c.Places["spec.slices.length"], c.Places["spec.slices.target"] = at, window, target
	text := string(o.TimeSliceWindow)
	if text != "" && strings.Trim(text, "0123456789") == "" {
		text += "m"
	}
	length, err := parseShorthand(text)
	switch {
	case text == "":
		c.Problem(window, "missing", "how long a slice is, such as 1m")
	case err != nil:
		c.Problem(window, err.Error(), "minutes as a number, or "+shorthandHint)
	default:
		out.Length = length.native()
	}
	switch {
	case c.in.Spec.BudgetingMethod == ratioTimeslices && o.TimeSliceTarget != "":
		c.Problem(target, "a target while RatioTimeslices counts each slice with its ratio", "remove it, or budgetingMethod: Timeslices")
	case c.in.Spec.BudgetingMethod == ratioTimeslices:
	case o.TimeSliceTarget == "":
		c.Problem(target, "missing", "the share of good events from which on a slice is good, such as 0.95")
	default:
		out.Target = c.share(target, o.TimeSliceTarget, "at most 1, such as 0.95")
	}
}

// whole makes the composite of objectives that have indicators of their own:
// its error budget is the weighted mean of theirs.
func (r *Reader) whole(s read[sloSpec], names []string) foreign.Entry {
	c := r.converter(s, s.at, s.at.Field, nil)
	c.common()
	c.Problems = nil // the objectives have said what is wrong
	sum, weights := new(big.Rat), new(big.Rat)
	for i, o := range s.Spec.Objectives {
		at := s.spec().Child("objectives").Item(i)
		part := slo.ComponentText{SLO: s.Spec.Service + "/" + names[i], Weight: o.CompositeWeight}
		field := fmt.Sprintf("spec.sli.composite.%d", i)
		c.Places[field], c.Places[field+".weight"] = at, at.Child("compositeWeight")
		c.Document.Spec.SLI.Composite = append(c.Document.Spec.SLI.Composite, part)
		weight := big.NewRat(1, 1)
		if d, err := slo.ParseDecimal(string(o.CompositeWeight)); err == nil {
			weight = d.Rat()
		}
		if target, err := slo.ParseDecimal(string(c.target(at, o))); err == nil {
			sum.Add(sum, target.Rat().Mul(target.Rat(), weight))
			weights.Add(weights, weight)
		}
	}
	c.Problems = nil
	c.from("spec.objective", "spec.objectives")
	if weights.Sign() > 0 {
		c.Document.Spec.Objective = percent(sum.Quo(sum, weights.Mul(weights, big.NewRat(100, 1))))
	}
	c.policies()
	return c.Entry
}
