package slack

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
)

const usage = "ack N, escalate N, resolve N, snooze N 1h: act on incident N\nincidents: what is not resolved\nwho: who is on call"

// run does what a command says, and returns the answer.
func (n *Notifier) run(ctx context.Context, f front, c command, by person) string {
	args := strings.Fields(c.text)
	if len(args) == 0 {
		return usage
	}
	switch strings.ToLower(args[0]) {
	case "incidents", "list":
		return n.ask(ctx, f, incidents)
	case "who", "oncall":
		return n.ask(ctx, f, n.onCall)
	}
	a, ok := parseCommand(args)
	if !ok {
		return usage
	}
	said, err := n.do(ctx, f, a, by)
	if err != nil {
		return words(err)
	}
	return said
}

// parseCommand reads an act such as "ack 12" or "snooze 12 1h".
func parseCommand(args []string) (act, bool) {
	verb, option := strings.ToLower(args[0]), ""
	if verb == "acknowledge" {
		verb = acknowledge
	}
	if verb == snooze && len(args) == 3 {
		option = args[2]
	} else if len(args) != 2 {
		return act{}, false
	}
	return parseAct(verb+":"+strings.TrimPrefix(args[1], "#"), option)
}

func (n *Notifier) ask(ctx context.Context, f front, question func(context.Context, Board) (string, error)) string {
	board, ok := f.desk.(Board)
	if !ok {
		return usage
	}
	said, err := question(ctx, board)
	if err != nil {
		n.config.Logger.WarnContext(ctx, "command answered in vain", "channel", n.config.Name, "error", err)
		return words(err)
	}
	return said
}

func incidents(ctx context.Context, board Board) (string, error) {
	list, err := board.Incidents(ctx)
	if err != nil {
		return "", fmt.Errorf("list incidents: %w", err)
	}
	if len(list) == 0 {
		return "Nothing is open.", nil
	}
	const most = 30
	var lines []string
	for _, inc := range list[:min(len(list), most)] {
		lines = append(lines, entry(inc))
	}
	if more := len(list) - most; more > 0 {
		lines = append(lines, "and "+strconv.Itoa(more)+" more")
	}
	return strings.Join(lines, "\n"), nil
}

func entry(inc alert.Incident) string {
	line := fmt.Sprintf("%d  %s  %s", inc.ID, inc.Level, clean(inc.Title, 120))
	if service := clean(inc.Service, 60); service != "" {
		line = fmt.Sprintf("%d  %s  %s: %s", inc.ID, inc.Level, service, clean(inc.Title, 120))
	}
	if inc.Status == alert.Acknowledged {
		line += " (acknowledged by " + clean(inc.AckedBy, 60) + ")"
	}
	return line
}

func (n *Notifier) onCall(ctx context.Context, board Board) (string, error) {
	duties, err := board.OnCall(ctx)
	if err != nil {
		return "", fmt.Errorf("ask who is on call: %w", err)
	}
	if len(duties) == 0 {
		return "There is no schedule.", nil
	}
	var lines []string
	for _, d := range duties {
		line := clean(d.Schedule, 80) + ": nobody"
		if user := clean(d.User, 80); user != "" {
			line = clean(d.Schedule, 80) + ": " + user
		}
		if !d.Until.IsZero() {
			line += ", until " + d.Until.Format(time.RFC1123)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n"), nil
}
