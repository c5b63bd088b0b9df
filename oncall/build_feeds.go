package oncall

import (
	"bytes"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/oncall/ical"
)

// Bounds of how often a calendar is fetched, and what is usual.
const (
	minRefresh     = time.Minute
	maxRefresh     = 24 * time.Hour
	defaultRefresh = 15 * time.Minute
)

// feed reads where a layer's calendar is, and the calendar if it is a file.
func (b *builder) feed(src source, layer, name string, y feedYAML, loc *time.Location) *feed {
	field := layer + ".calendar"
	f := &feed{Feed: Feed{Layer: name, Refresh: defaultRefresh, Zone: loc}, place: src.place(layer + ".name"), by: matching(or(y.Match, string(matchAny))), years: &years{}}
	if !slices.Contains([]matching{matchAny, matchSummary, matchAttendee}, f.by) {
		b.add(src.at(field+".match", fmt.Sprintf("%q is none of summary, attendee, any", y.Match), ""))
	}
	if y.Timezone != "" {
		f.Zone = b.zone(src, field+".timezone", y.Timezone)
	}
	if d := b.duration(src, field+".refresh", y.Refresh, minRefresh, maxRefresh); d > 0 {
		f.Refresh = d
	}
	given := 0
	for _, is := range []bool{y.File != "", !y.URL.Empty(), y.URLFile != ""} {
		if is {
			given++
		}
	}
	switch {
	case given != 1:
		b.add(src.at(field, "want one of file, url and url_file", "such as {file: team.ics}"))
	case y.File != "":
		if y.Refresh != "" {
			b.add(src.at(field+".refresh", "a file is read with the on-call files, not now and then", "only calendars with a url have a refresh"))
		}
		b.calendarFile(src, field+".file", y.File, f)
	default:
		b.calendarURL(src, field, y, f)
	}
	return f
}

// calendarFile reads a calendar, which is matched when all users are known.
func (b *builder) calendarFile(src source, field, name string, f *feed) {
	if !b.reads {
		return
	}
	content, err := readFile(beside(src.file.Name, name))
	if err != nil {
		b.add(src.at(field, fmt.Sprintf("read %s: %v", name, err), "a path is relative to the file that names it"))
		return
	}
	calendar, err := ical.Read(bytes.NewReader(content), f.Zone)
	if err != nil {
		b.add(src.at(field, fmt.Sprintf("%s: %v", name, err), ""))
		return
	}
	b.calendars = append(b.calendars, func(known *names) { *f = *f.with(calendar, known) })
}

// beside returns a path relative to the folder of another file.
func beside(file, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(file), name)
}

func (b *builder) calendarURL(src source, field string, y feedYAML, f *feed) {
	field += ".url"
	text := y.URL.Reveal()
	if y.URLFile != "" {
		field += "_file"
		if !b.reads {
			return
		}
		content, err := readFile(beside(src.file.Name, y.URLFile))
		if err != nil {
			b.add(src.at(field, fmt.Sprintf("read %s: %v", y.URLFile, err), "a path is relative to the file that names it"))
			return
		}
		text = strings.TrimSpace(string(content))
	}
	// Calendars hand out links as webcal, for browsers; they mean https.
	if rest, ok := strings.CutPrefix(text, "webcal://"); ok {
		text = "https://" + rest
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		b.add(src.at(field, "it is no http, https or webcal URL", "the secret address in iCal format that the calendar hands out"))
		return
	}
	f.URL = secret.New(text)
}

// identify gives the calendars of a schedule their names, once it has one.
func (b *builder) identify(name string, s *schedule) {
	mark := func(layers []*layer, where string) {
		for _, l := range layers {
			if l.feed != nil {
				l.feed.Schedule = name
				l.feed.ID = strings.Join([]string{name, where + l.name}, " ") // names have no spaces
			}
		}
	}
	mark(s.layers, "")
	for i, t := range s.temporary {
		mark(t.layers, fmt.Sprintf("temporary %d ", i))
	}
}

// alwaysSomeone makes sure that a schedule which is all of a policy names
// somebody whatever its calendars say.
func (b *builder) alwaysSomeone(src source, field, name string) {
	b.links = append(b.links, func() {
		s, ok := b.r.schedules[name]
		if ok && !slices.ContainsFunc(s.everyLayer(), func(l *layer) bool { return l.feed == nil }) {
			b.add(src.at(field, fmt.Sprintf("the schedule %q has calendars alone, which may be empty", name), "name a policy with a last_resort, or add a layer with a rotation below the calendars"))
		}
	})
}

// hideURLs takes away the text of lines that the URL of a calendar could be
// in: it often holds a key, and problems are printed and logged.
func hideURLs(problems diag.Problems) diag.Problems {
	for i, p := range problems {
		problems[i] = discreet(p)
	}
	return problems
}

func discreet(p diag.Problem) diag.Problem {
	if strings.Contains(p.Source, "://") || strings.Contains(p.Source, "url") {
		p.Source = ""
	}
	return p
}
