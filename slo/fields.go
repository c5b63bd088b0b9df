package slo

import "maps"

// fieldFacts is what is known of a field of Document besides its type: what
// the schema says of it. What a field may be beside others is checked by
// Check alone.
type fieldFacts struct {
	about     string   // one sentence
	otherwise any      // what holds where it is left out, nil for nothing
	pattern   string   // of a text
	choices   []string // of a text
	low       float64  // of a number; it is above low, or at least low where from is set
	high      float64  // of a number; 0 for none
	from      bool
	below     bool // a number is below high, not at most
	most      int  // bytes of a text, items of a list or keys of a mapping; 0 for none
	least     int
}

// Patterns of texts, as ECMAScript and Go read them.
const (
	durationPatternText  = `^([0-9]+(ms|[smhdwy]))+$`
	decimalPatternText   = `^[0-9]{1,6}(\.[0-9]{1,10})?$`
	thresholdPatternText = `^([0-9]{1,6}(\.[0-9]{1,10})?|([0-9]+(ms|[smhdwy]))+)$`
	goodPatternText      = `^\s*(<=|>=|==|!=|<|>)\s*\S+\s*$`
	urlPatternText       = `^https?://.`
	labelPatternText     = `^([A-Za-z][A-Za-z0-9_]*|_([A-Za-z0-9][A-Za-z0-9_]*)?)$`
	referencePatternText = `^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`
	windowedPatternText  = `\$window`
	streamsPatternText   = `^\s*\{`
)

// facts returns what is known of each field, by its path; a list's items have
// the list's.
func facts() map[string]fieldFacts {
	all := map[string]fieldFacts{}
	for _, part := range []map[string]fieldFacts{nameFacts(), specFacts(), indicatorFacts(), alertFacts()} {
		maps.Copy(all, part)
	}
	return all
}

func nameFacts() map[string]fieldFacts {
	return map[string]fieldFacts{
		"":                     {about: "A service level objective of Midwatch."},
		"apiVersion":           {about: "The version of the format.", choices: []string{APIVersion}},
		"kind":                 {about: "What the document is.", choices: []string{Kind}},
		"metadata":             {about: "What names the SLO."},
		"metadata.name":        {about: "The label slo of its series and alerts; unique together with spec.service.", pattern: namePatternText, most: maxName},
		"metadata.labels":      {about: "Labels of its alerts, not of its recorded series.", most: maxLabels},
		"metadata.annotations": {about: "Annotations of its alerts.", most: maxLabels},
	}
}

func specFacts() map[string]fieldFacts {
	return map[string]fieldFacts{
		"spec":                     {about: "What the SLO says."},
		"spec.service":             {about: "The label service of its series and alerts.", pattern: namePatternText, most: maxName},
		"spec.description":         {about: "What the user of the service expects.", most: maxDescription},
		"spec.owner":               {about: "Who answers for it; a label of its alerts.", most: maxText},
		"spec.team":                {about: "The team that answers for it; a label of its alerts.", most: maxText},
		"spec.links":               {about: "Pages that help who is paged.", most: maxLinks},
		"spec.links.title":         {about: "What the page is.", most: maxText, least: 1},
		"spec.links.url":           {about: "Where the page is.", pattern: urlPatternText, most: maxURL},
		"spec.critical":            {about: "A core path: its fastest tier is P1 instead of P2.", otherwise: false},
		"spec.objective":           {about: "Percent of events that must succeed.", high: 100, below: true},
		"spec.window":              {about: "The time that the error budget is for: rolling, whole minutes from 1h to 400d, or a calendar's.", otherwise: defaultWindow, pattern: durationPatternText},
		"spec.window.calendar":     {about: "The unit that begins anew; a week begins on Monday.", choices: []string{string(Week), string(Month), string(Quarter), string(Year)}},
		"spec.window.timezone":     {about: "The time zone that it begins in, of the IANA database.", otherwise: "UTC"},
		"spec.group_by":            {about: "Labels with an error budget for each of their values.", pattern: labelPatternText, most: maxGroups},
		"spec.scope":               {about: "Over what there is a budget: each cluster for itself, all together, or both.", otherwise: string(ScopeCluster), choices: []string{string(ScopeCluster), string(ScopeFleet), string(ScopeBoth)}},
		"spec.runbook":             {about: "What to do, in every page.", pattern: urlPatternText, most: maxURL},
		"spec.logs":                {about: "A LogQL stream selector: where evidence is looked for.", pattern: streamsPatternText, most: maxExpression},
		"spec.slices":              {about: "Counts time instead of events: a slice of time is good or bad as a whole, or counts with its ratio."},
		"spec.slices.length":       {about: "How long a slice is: whole minutes, 1m to 1h.", pattern: durationPatternText},
		"spec.slices.target":       {about: "Percent of good events from which on a slice is good; left out, each slice counts with its own ratio.", high: 100},
		"spec.exclusions":          {about: "Times that do not count: their events are on neither side, and alerts are held.", most: maxExclusions},
		"spec.exclusions.name":     {about: "What happens then.", most: maxText, least: 1},
		"spec.exclusions.from":     {about: "When it begins, for one that is once (RFC 3339)."},
		"spec.exclusions.to":       {about: "When it ends, for one that is once (RFC 3339)."},
		"spec.exclusions.cron":     {about: "When it begins, for one that recurs: five fields, or @daily and the like.", most: maxText},
		"spec.exclusions.timezone": {about: "The time zone of cron, of the IANA database.", otherwise: "UTC"},
		"spec.exclusions.duration": {about: "How long one that recurs lasts: whole minutes, up to 7d.", pattern: durationPatternText},
	}
}

func indicatorFacts() map[string]fieldFacts {
	return map[string]fieldFacts{
		"spec.sli":                   {about: "What is counted: exactly one kind."},
		"spec.sli.events":            {about: "Counters of events."},
		"spec.sli.events.errors":     {about: "A selector of the counter of failed events.", most: maxExpression},
		"spec.sli.events.good":       {about: "A selector of the counter of events that succeeded.", most: maxExpression},
		"spec.sli.events.total":      {about: "A selector of the counter of all events.", most: maxExpression, least: 1},
		"spec.sli.latency":           {about: "A histogram: good is what took no longer than the threshold."},
		"spec.sli.latency.histogram": {about: "A selector of a classic histogram, by its name without _bucket.", most: maxExpression},
		"spec.sli.latency.native":    {about: "A selector of a native histogram.", most: maxExpression},
		"spec.sli.latency.threshold": {about: "What is fast enough: a number in the unit of the histogram, as a rule seconds, or a duration such as 300ms.", pattern: thresholdPatternText, high: 999_999},
		"spec.sli.gauge":             {about: "A gauge over time: each scrape is good or bad."},
		"spec.sli.gauge.expr":        {about: "A selector, or any expression that gives an instant vector.", most: maxExpression, least: 1},
		"spec.sli.gauge.good":        {about: "Which values are good, such as <= 100; left out, 1 is good and 0 is not.", pattern: goodPatternText},
		"spec.sli.promql":            {about: "Any expressions, in which $window stands for the range."},
		"spec.sli.promql.errors":     {about: "Failed events.", pattern: windowedPatternText, most: maxExpression},
		"spec.sli.promql.good":       {about: "Events that succeeded.", pattern: windowedPatternText, most: maxExpression},
		"spec.sli.promql.total":      {about: "All events.", pattern: windowedPatternText, most: maxExpression},
		"spec.sli.promql.unit":       {about: "What the expressions give: a rate (events a second) or a count (events in the window); left out, it is told from their functions.", choices: []string{string(PerSecond), string(PerWindow)}},
		"spec.sli.ratio":             {about: "A share, 0 to 1, that is already there."},
		"spec.sli.ratio.errors":      {about: "The share of failed events, with or without $window.", most: maxExpression},
		"spec.sli.ratio.good":        {about: "The share of events that succeeded, with or without $window.", most: maxExpression},
		"spec.sli.ratio.total":       {about: "How many events a second there were; left out, all time weighs the same.", most: maxExpression},
		"spec.sli.logs":              {about: "Lines of logs, counted by Loki's ruler."},
		"spec.sli.logs.errors":       {about: "A LogQL log query of failed events.", pattern: streamsPatternText, most: maxExpression},
		"spec.sli.logs.good":         {about: "A LogQL log query of events that succeeded.", pattern: streamsPatternText, most: maxExpression},
		"spec.sli.logs.total":        {about: "A LogQL log query of all events.", pattern: streamsPatternText, most: maxExpression},
		"spec.sli.composite":         {about: "Other SLOs, each with its weight.", most: maxComponents, least: 1},
		"spec.sli.composite.slo":     {about: "service/name of an SLO.", pattern: referencePatternText},
		"spec.sli.composite.weight":  {about: "How much it counts beside the others.", otherwise: 1, high: 999_999},
	}
}

func alertFacts() map[string]fieldFacts {
	of := func(about, otherwise string) fieldFacts {
		f := fieldFacts{about: about, choices: severities}
		if otherwise != "" {
			f.otherwise = otherwise
		}
		return f
	}
	return map[string]fieldFacts{
		"spec.alerts":                          {about: "What the SLO alerts on."},
		"spec.alerts.preset":                   {about: "A table of tiers: that of the SRE Workbook, one scaled to the window, or none.", otherwise: string(PresetWorkbook), choices: []string{string(PresetWorkbook), string(PresetScaled), string(PresetNone)}},
		"spec.alerts.outage":                   {about: "A tier on top that pages a total outage within 75 s.", otherwise: false},
		"spec.alerts.tiers":                    {about: "Tiers of its own, instead of a preset.", most: maxTiers, least: 1},
		"spec.alerts.tiers.long":               {about: "The window over which the budget burns: whole minutes.", pattern: durationPatternText},
		"spec.alerts.tiers.short":              {about: "The window that says that it still burns: whole minutes, shorter than long.", pattern: durationPatternText},
		"spec.alerts.tiers.burn_rate":          {about: "How many times faster than in exactly its window the budget burns.", high: 999_999},
		"spec.alerts.tiers.budget_percent":     {about: "Percent of the budget that is spent over the long window, instead of burn_rate.", high: 100},
		"spec.alerts.tiers.severity":           of("How urgent it is.", ""),
		"spec.alerts.tiers.critical":           of("How urgent it is where the SLO is critical: at least as severity.", ""),
		"spec.alerts.tiers.for":                {about: "How long both windows must hold: whole seconds, up to 1d.", otherwise: "0s", pattern: durationPatternText},
		"spec.alerts.budget_spent":             {about: "Alerts when so much of the budget is spent, in percent.", most: maxSpent, high: maxSpentShare},
		"spec.alerts.budget_spent.percent":     {about: "Percent of the budget.", high: maxSpentShare},
		"spec.alerts.budget_spent.severity":    of("How urgent it is.", defaultSeverity),
		"spec.alerts.no_data":                  {about: "Alerts when what the SLO counts is gone."},
		"spec.alerts.no_data.after":            {about: "How long it is gone: whole minutes, 1m to 7d.", otherwise: FormatDuration(defaultNoDataAfter), pattern: durationPatternText},
		"spec.alerts.no_data.severity":         of("How urgent it is.", defaultSeverity),
		"spec.alerts.low_traffic":              {about: "What counts where there is little traffic."},
		"spec.alerts.low_traffic.min_failures": {about: "How many events at least must have failed over a tier's long window.", otherwise: DefaultMinFailures, from: true, high: maxMinFailures},
		"spec.alerts.low_traffic.confidence":   {about: "How sure it must be, in percent, that the failures are more than chance; 0 does not ask.", otherwise: 99.9, from: true, high: 99.9999},
		"spec.alerts.page":                     {about: "What alerts of P1 and P2 carry besides."},
		"spec.alerts.page.labels":              {about: "Labels of those alerts.", most: maxLabels},
		"spec.alerts.page.annotations":         {about: "Annotations of those alerts.", most: maxLabels},
		"spec.alerts.ticket":                   {about: "What alerts of P3 and Info carry besides."},
		"spec.alerts.ticket.labels":            {about: "Labels of those alerts.", most: maxLabels},
		"spec.alerts.ticket.annotations":       {about: "Annotations of those alerts.", most: maxLabels},
	}
}
