package robot

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Mentions are whom a message of a robot calls by name.
type Mentions struct {
	All     bool
	Users   []string // what the provider calls the members
	Mobiles []string // mobile numbers of members
}

// The words of an address that are no members.
const (
	everybody = "@all"
	nobody    = "@group"
)

// maxMentions bounds how many one address names.
const maxMentions = 20

var (
	userID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)
	mobile = regexp.MustCompile(`^\+?[0-9][0-9-]{4,19}$`)
)

// ParseMentions reads an address: whom to mention, between commas. Members
// are named by the provider's user id or as "mobile:13800001111"; "@all" is
// everybody, and "@group" mentions nobody.
func ParseMentions(address string) (m Mentions, err error) {
	if strings.TrimSpace(address) == "" {
		return m, errors.New("no address: want user ids, mobile:13800001111, @all, or @group for nobody in particular")
	}
	for name := range strings.SplitSeq(address, ",") {
		name = strings.TrimSpace(name)
		number, isMobile := strings.CutPrefix(name, "mobile:")
		switch {
		case name == everybody:
			m.All = true
		case name == nobody:
		case isMobile && mobile.MatchString(number):
			m.Mobiles = append(m.Mobiles, number)
		case !isMobile && userID.MatchString(name):
			m.Users = append(m.Users, name)
		default:
			return Mentions{}, fmt.Errorf("%q is no user id, mobile:NUMBER, @all or @group", name)
		}
	}
	if len(m.Users)+len(m.Mobiles) > maxMentions {
		return Mentions{}, fmt.Errorf("more than %d mentions", maxMentions)
	}
	slices.Sort(m.Users)
	m.Users = slices.Compact(m.Users)
	slices.Sort(m.Mobiles)
	m.Mobiles = slices.Compact(m.Mobiles)
	return m, nil
}
