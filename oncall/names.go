package oncall

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/oncall/ical"
)

// matching says by what of an event its person is found.
type matching string

const (
	matchAny      matching = "any" // the summary, else the attendees
	matchSummary  matching = "summary"
	matchAttendee matching = "attendee"
)

func (m matching) hint() string {
	switch m {
	case matchSummary:
		return "in the event's title"
	case matchAttendee:
		return "the mail address of an attendee"
	default:
		return "in the event's title, or the mail address of an attendee"
	}
}

// names knows what people are called: by the files, in full, and by their
// mail addresses. What two people are called is nobody's.
type names struct {
	users map[string]string // by what they are called
	first map[rune][]string // what they are called, by how it begins; the longest first
}

func newNames(users map[string]user) *names {
	n := &names{map[string]string{}, map[rune][]string{}}
	for name, u := range users {
		n.add(name, name)
		n.add(u.fullName, name)
		for _, c := range u.contacts {
			if strings.Contains(c.address, "@") {
				n.add(c.address, name)
			}
		}
	}
	for name := range n.users {
		if r, size := utf8.DecodeRuneInString(name); size < len(name) {
			n.first[r] = append(n.first[r], name)
		}
	}
	for _, list := range n.first {
		slices.SortFunc(list, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	}
	return n
}

func (n *names) add(text, user string) {
	key := plainName(text)
	if key == "" {
		return
	}
	if other, taken := n.users[key]; taken && other != user {
		user = ""
	}
	n.users[key] = user
}

// plainName returns a name without what makes no difference: case, and how
// much white space is between its words.
func plainName(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

// of returns whom an event names, "" for nobody known.
func (n *names) of(e ical.Event, by matching) (user string) {
	if by != matchAttendee {
		user = n.within(e.Summary)
	}
	if user != "" || by == matchSummary {
		return user
	}
	organizer := ""
	for _, a := range e.Attendees {
		switch user := n.users[plainName(a)]; {
		case user == "":
		case strings.EqualFold(a, e.Organizer): // who made the event is often invited, too
			organizer = user
		default:
			return user
		}
	}
	return organizer
}

// maxTitle bounds how much of an event's title is looked at, in bytes.
const maxTitle = 500

// within returns whom a title names: the person whose name all of it is, else
// the one named first in it, by the longest name that begins there.
func (n *names) within(title string) string {
	if len(title) > maxTitle {
		title = strings.ToValidUTF8(title[:maxTitle], "")
	}
	// Chinese has no spaces around "on duty".
	title = plainName(strings.ReplaceAll(title, "值班", " "))
	if user, ok := n.users[title]; ok {
		return user
	}
	for i, r := range title {
		for _, name := range n.first[r] {
			if strings.HasPrefix(title[i:], name) && apart(title, i) && apart(title, i+len(name)) {
				return n.users[name]
			}
		}
	}
	return ""
}

// apart tells whether no word goes on over an index. A dot, a dash and the
// like within a word are of it, as in li.wei.
func apart(text string, i int) bool {
	return i == 0 || i == len(text) || !joins(text[:i], text[i:])
}

func joins(before, after string) bool {
	l, size := utf8.DecodeLastRuneInString(before)
	r, next := utf8.DecodeRuneInString(after)
	switch {
	case wordly(l) && wordly(r), l == '@' && wordly(r), wordly(l) && r == '@':
		return true
	case glue(l) && wordly(r):
		far, _ := utf8.DecodeLastRuneInString(before[:len(before)-size])
		return wordly(far)
	case wordly(l) && glue(r):
		far, _ := utf8.DecodeRuneInString(after[next:])
		return wordly(far)
	}
	return false
}

func wordly(r rune) bool {
	return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_')
}

func glue(r rune) bool { return strings.ContainsRune(".-+'’", r) }
