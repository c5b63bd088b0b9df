package story

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/demo/terminal"
	"github.com/midwatch-slo/midwatch/web/wire"
)

// The channels that the example's people are reached by.
const (
	byWeCom = "wecom"
	byEmail = "email"
)

// message is a page as it arrived at a provider.
type message struct {
	Channel string
	To      string
	At      time.Time
	Text    string
}

// onCall returns who is on call for the service, as Midwatch says.
func (s *story) onCall(ctx context.Context) (wire.Shift, error) {
	var watches []wire.Watch
	if _, err := s.api.data(ctx, s.Places.Midwatch+"/api/v1/oncall", &watches); err != nil {
		return wire.Shift{}, err
	}
	for _, w := range watches {
		if w.Schedule == schedule {
			return w.Now, nil
		}
	}
	return wire.Shift{}, fmt.Errorf("no schedule %q", schedule)
}

// checkPages checks that one page came by each channel, and that it says what
// a person must know.
func (s *story) checkPages(ctx context.Context) error {
	shift, err := s.onCall(ctx)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, m := range s.pages {
		s.checks.that(!seen[m.Channel], "more than one page by %s before anybody could acknowledge", m.Channel)
		seen[m.Channel] = true
		s.checkPage(m, shift)
	}
	return nil
}

// says is what a page must say, by what it is.
func (s *story) says(shift wire.Shift) map[string]*regexp.Regexp {
	since := s.incident.Since.In(time.FixedZone("CST", 8*3600)) // where the example's people are
	link := fmt.Sprintf("%s/incidents/%d", s.Places.Midwatch, s.incident.ID)
	quote := regexp.QuoteMeta
	return map[string]*regexp.Regexp{
		"the level":                   regexp.MustCompile(`\bP1\b`),
		"whom it is for":              regexp.MustCompile(quote(shift.FullName)),
		"which SLO":                   regexp.MustCompile(sloName + `\b[^\n]*\b99\.95%`),
		"which cluster":               regexp.MustCompile(cluster),
		"since when":                  regexp.MustCompile(since.Format("15:04:05")),
		"the burn rate":               regexp.MustCompile(cluster + `: burns \d+(\.\d+)?×`),
		"the budget left":             regexp.MustCompile(cluster + `: .*budget left \d+(\.\d+)?%`),
		"the log pattern, and counts": regexp.MustCompile(`\b[1-9]\d+ lines, \d before: .*TimeoutException: HikariPool-`),
		"a link to the incident":      regexp.MustCompile(quote(link)),
	}
}

func (s *story) checkPage(m message, shift wire.Shift) {
	user := strings.ReplaceAll(shift.User, ".", "")
	s.checks.that(strings.EqualFold(strings.ReplaceAll(strings.SplitN(m.To, "@", 2)[0], ".", ""), user),
		"%s: the page went to %s, want %s, who is on call", m.Channel, m.To, shift.FullName)
	says := s.says(shift)
	for _, what := range slices.Sorted(maps.Keys(says)) {
		s.checks.that(says[what].MatchString(m.Text), "%s: the page does not say %s (%s)", m.Channel, what, says[what])
	}
}

// checkSilence checks that after an acknowledgement nobody was paged again,
// and that who was paged hears that it is over.
func (s *story) checkSilence(ctx context.Context, acked bool, before int) error {
	return poll(ctx, "word that it is over", 20*time.Second, func(ctx context.Context) (bool, error) {
		messages, err := s.api.messages(ctx)
		if err != nil {
			return false, err
		}
		for _, m := range messages[min(before, len(messages)):] {
			if !m.At.Before(s.incident.ResolvedAt) {
				s.tell(terminal.Good, m.At, "%s hears by %s that it is over", m.To, m.Channel)
				return true, nil
			}
			s.checks.that(!acked, "a page by %s after the acknowledgement:\n%s", m.Channel, m.Text)
		}
		return false, nil
	})
}

// printSummary prints the timeline once more, the page, and what is wrong.
func (s *story) printSummary() {
	var b strings.Builder
	b.WriteString("\n──── summary ────\n")
	for _, line := range s.summary {
		b.WriteString(line + "\n")
	}
	seen := map[string]bool{}
	for _, m := range s.pages {
		if !seen[m.Channel] {
			seen[m.Channel] = true
			fmt.Fprintf(&b, "\n──── the page, by %s to %s ────\n%s\n", m.Channel, m.To, strings.TrimSpace(m.Text))
		}
	}
	if len(s.pages) > 0 {
		fmt.Fprintf(&b, "\nseconds from the first failed payment to the page: %.1f (at most %.0f)\n", s.pages[0].At.Sub(s.outage).Seconds(), pageWithin.Seconds())
	}
	if n := len(s.checks.failed); n > 0 {
		fmt.Fprintf(&b, "%d of the checks failed\n", n)
	} else {
		b.WriteString("every check passed\n")
	}
	s.Terminal.Print(b.String())
}
