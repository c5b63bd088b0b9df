package ical

import (
	"fmt"
	"strings"
	"time"
)

// lookup returns what a TZID means: a name of the IANA's, also behind a path,
// what the calendar says of it, or the name that Windows has for it. The
// calendar's own account of a clock goes last: it is often of one year alone.
func (z zones) lookup(id string) (*time.Location, error) {
	if loc, ok := z.defined[id]; ok {
		return loc, nil
	}
	if loc, ok := load(id); ok {
		z.remember(id, loc)
		return loc, nil
	}
	if name, ok := windowsZone(id); ok {
		if loc, ok := load(name); ok {
			z.remember(id, loc)
			return loc, nil
		}
	}
	if own, ok := z.own[id]; ok {
		loc, err := own.location()
		if err != nil {
			return nil, fmt.Errorf("the time zone %q: %w", short(id), err)
		}
		z.remember(id, loc)
		return loc, nil
	}
	return nil, fmt.Errorf("the time zone %q is unknown: want an IANA name such as Asia/Shanghai", short(id))
}

// define notes what a calendar says of one of its own TZIDs.
func (z zones) define(id, name string) {
	if loc, ok := load(name); ok && id != "" {
		z.remember(id, loc)
	}
}

// maxZones is how many zones of a calendar are remembered, and read.
const maxZones = 100

// remember keeps a zone, so that times of one zone share it.
func (z zones) remember(id string, loc *time.Location) {
	if len(z.defined) < maxZones {
		z.defined[id] = loc
	}
}

// load returns a zone by its IANA name, which may stand at the end of a path.
func load(name string) (*time.Location, bool) {
	parts := strings.Split(strings.Trim(name, "/"), "/")
	for n := min(3, len(parts)); n > 0; n-- {
		last := strings.Join(parts[len(parts)-n:], "/")
		if last == "" || last == "Local" {
			continue
		}
		if loc, err := time.LoadLocation(last); err == nil {
			return loc, true
		}
	}
	return nil, false
}

// windowsZone returns the IANA name of a zone that Windows and Outlook name
// in their own way (Unicode CLDR, windowsZones.xml: territory 001).
func windowsZone(name string) (string, bool) {
	switch name {
	case "China Standard Time":
		return "Asia/Shanghai", true
	case "Taipei Standard Time":
		return "Asia/Taipei", true
	case "Singapore Standard Time":
		return "Asia/Singapore", true
	case "Tokyo Standard Time":
		return "Asia/Tokyo", true
	case "Korea Standard Time":
		return "Asia/Seoul", true
	case "SE Asia Standard Time":
		return "Asia/Bangkok", true
	case "India Standard Time":
		return "Asia/Kolkata", true
	case "Arabian Standard Time":
		return "Asia/Dubai", true
	case "Russian Standard Time":
		return "Europe/Moscow", true
	case "Turkey Standard Time":
		return "Europe/Istanbul", true
	case "GMT Standard Time":
		return "Europe/London", true
	case "W. Europe Standard Time":
		return "Europe/Berlin", true
	case "Romance Standard Time":
		return "Europe/Paris", true
	case "Central Europe Standard Time":
		return "Europe/Budapest", true
	case "Central European Standard Time":
		return "Europe/Warsaw", true
	case "E. Europe Standard Time":
		return "Europe/Chisinau", true
	case "FLE Standard Time":
		return "Europe/Kiev", true
	case "GTB Standard Time":
		return "Europe/Bucharest", true
	case "Israel Standard Time":
		return "Asia/Jerusalem", true
	case "South Africa Standard Time":
		return "Africa/Johannesburg", true
	case "Eastern Standard Time":
		return "America/New_York", true
	case "Central Standard Time":
		return "America/Chicago", true
	case "Mountain Standard Time":
		return "America/Denver", true
	case "US Mountain Standard Time":
		return "America/Phoenix", true
	case "Pacific Standard Time":
		return "America/Los_Angeles", true
	case "Alaskan Standard Time":
		return "America/Anchorage", true
	case "Hawaiian Standard Time":
		return "Pacific/Honolulu", true
	case "Atlantic Standard Time":
		return "America/Halifax", true
	case "Newfoundland Standard Time":
		return "America/St_Johns", true
	case "E. South America Standard Time":
		return "America/Sao_Paulo", true
	case "Argentina Standard Time":
		return "America/Buenos_Aires", true
	case "AUS Eastern Standard Time":
		return "Australia/Sydney", true
	case "E. Australia Standard Time":
		return "Australia/Brisbane", true
	case "Cen. Australia Standard Time":
		return "Australia/Adelaide", true
	case "W. Australia Standard Time":
		return "Australia/Perth", true
	case "Lord Howe Standard Time":
		return "Australia/Lord_Howe", true
	case "New Zealand Standard Time":
		return "Pacific/Auckland", true
	case "UTC", "Coordinated Universal Time", "tzone://Microsoft/Utc", "Greenwich Standard Time":
		return "UTC", true
	}
	return "", false
}
