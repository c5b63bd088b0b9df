package slo

import (
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Limits of what people write, in bytes and items.
const (
	maxName        = 100
	maxDescription = 2000
	maxSelector    = 4000
	maxURL         = 2000
	maxLabels      = 50
	maxGroups      = 10
)

// defaultWindow is the window of an SLO that names none.
const defaultWindow = "30d"

// reserved are labels that rules set or match on.
var reserved = []string{"alertname", "parameter", "service", "severity", "slo", "tier"}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// name checks a name that becomes a label value and part of a file's name.
func (c *checker) name(field, value string) string {
	const hint = "letters, digits, '-', '_' and '.', such as payment-availability"
	switch {
	case value == "":
		c.missing(field, hint)
	case len(value) > maxName:
		c.add(field, fmt.Sprintf("longer than %d characters", maxName), "")
	case !namePattern.MatchString(value):
		c.add(field, fmt.Sprintf("%q is not a name", clip(value)), hint+"; the first and the last are a letter or a digit")
	default:
		return value
	}
	return ""
}

func (c *checker) metadata() {
	c.out.File = c.from.File.Name
	if n, _ := c.from.Find("metadata.name"); n != nil {
		c.out.Line = n.Line
	}
	c.out.Name = c.name("metadata.name", c.in.Metadata.Name)
	c.out.Labels = c.in.Metadata.Labels
	if len(c.out.Labels) > maxLabels {
		c.add("metadata.labels", fmt.Sprintf("more than %d labels", maxLabels), "")
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.out.Labels)) {
		c.label("metadata.labels."+name, name)
	}
}

// label checks the name of a label that an SLO adds or groups by.
func (c *checker) label(field, name string) {
	switch {
	case slices.Contains(reserved, name) || strings.HasPrefix(name, "__"):
		c.add(field, fmt.Sprintf("label %q is set by Midwatch's rules", clip(name)), "choose another name; taken are "+strings.Join(reserved, ", ")+" and names that begin with __")
	case !model.LegacyValidation.IsValidLabelName(name):
		c.add(field, fmt.Sprintf("%q is not a label name", clip(name)), "letters, digits and '_', not first a digit")
	}
}

func (c *checker) spec() {
	in := c.in.Spec
	c.out.Service = c.name("spec.service", in.Service)
	c.out.Description, c.out.Critical = in.Description, in.Critical
	if len(in.Description) > maxDescription {
		c.add("spec.description", fmt.Sprintf("longer than %d bytes", maxDescription), "put what is longer in the runbook")
	}
	c.objective()
	c.window()
	c.groupBy()
	c.runbook()
	c.logs()
}

func (c *checker) objective() {
	const field = "spec.objective"
	text := string(c.in.Spec.Objective)
	if text == "" {
		c.missing(field, "the share of events that must succeed, in percent, such as 99.9")
		return
	}
	objective, err := ParseDecimal(text)
	if err != nil {
		c.add(field, fmt.Sprintf("%q is not a decimal number", clip(text)), "percent, with at most 10 decimal places and without a sign, such as 99.95")
		return
	}
	c.out.Objective = objective
	switch value := objective.Rat(); {
	case value.Sign() <= 0:
		c.add(field, fmt.Sprintf("%s is not above 0", text), "percent of events that must succeed, such as 99.9")
	case value.Cmp(big.NewRat(100, 1)) >= 0:
		c.add(field, fmt.Sprintf("%s leaves no error budget", text), "below 100, such as 99.99: with no budget nothing can burn it")
	default:
		c.thresholds()
	}
}

// thresholds refuses an objective so low that a tier would need more failed
// events than there are.
func (c *checker) thresholds() {
	one := big.NewRat(1, 1)
	for _, t := range c.out.Alerts.Tiers {
		threshold, _ := t.Thresholds(c.out)
		if threshold.Cmp(one) < 0 {
			continue
		}
		percent := new(big.Rat).Mul(threshold, big.NewRat(100, 1))
		c.add("spec.objective",
			fmt.Sprintf("%s is too low: tier %s could never fire, it needs more than %s%% of events to fail", c.out.Objective, t.Name, percent.FloatString(1)),
			fmt.Sprintf("an objective above %s", lowest(t).FloatString(2)))
	}
}

// lowest returns the objective, in percent, above which a tier can fire,
// rounded up to two places.
func lowest(t Tier) *big.Rat {
	share := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Inv(t.Factor))
	hundredths := new(big.Rat).Mul(share, big.NewRat(10000, 1))
	up := new(big.Int).Add(hundredths.Num(), new(big.Int).Sub(hundredths.Denom(), big.NewInt(1)))
	return new(big.Rat).SetFrac(up.Quo(up, hundredths.Denom()), big.NewInt(100))
}

func (c *checker) window() {
	const field = "spec.window"
	in := c.in.Spec.Window
	if in.Calendar != "" {
		zone, err := time.LoadLocation(in.Timezone)
		if err != nil {
			c.add(field+".timezone", clip(err.Error()), "a name of the IANA time zone database, such as Asia/Shanghai")
			return
		}
		w, err := CalendarWindow(Calendar(in.Calendar), zone)
		if err != nil {
			c.add(field+".calendar", clip(err.Error()), "")
			return
		}
		c.out.Window = w
		return
	}
	text := in.Rolling
	if text == "" {
		text = defaultWindow
	}
	w, err := ParseWindow(text)
	if err != nil {
		c.add(field, clip(err.Error()), "a rolling window of whole minutes, such as 30d, 4w or 36h, or {calendar: month, timezone: Asia/Shanghai}")
		return
	}
	c.out.Window = w
}

func (c *checker) groupBy() {
	groups := c.in.Spec.GroupBy
	if len(groups) > maxGroups {
		c.add("spec.group_by", fmt.Sprintf("more than %d labels", maxGroups), "each combination of values has a budget of its own")
		return
	}
	for i, name := range groups {
		field := fmt.Sprintf("spec.group_by.%d", i)
		if slices.Contains(groups[:i], name) {
			c.add(field, fmt.Sprintf("label %q is given twice", clip(name)), "remove one")
			continue
		}
		c.label(field, name)
	}
	c.out.GroupBy = slices.Sorted(slices.Values(groups))
}

func (c *checker) runbook() {
	text := c.in.Spec.Runbook
	c.out.Runbook = text
	if text == "" {
		return
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		c.add("spec.runbook", fmt.Sprintf("%q is not a URL", clip(text)), "http:// or https://, such as https://runbooks.example.com/payments")
	}
}
