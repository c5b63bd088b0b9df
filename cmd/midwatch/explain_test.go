package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/golden"
)

// prints returns what a command prints, and its exit code.
func prints(t *testing.T, args ...string) (string, int) {
	t.Helper()
	var out, problems bytes.Buffer
	code := run(context.Background(), args, &out, &problems)
	if problems.Len() > 0 {
		t.Fatalf("midwatch %s: %s", strings.Join(args, " "), problems.String())
	}
	return out.String(), code
}

// The page about explain, diff and lint shows what they print.
func TestManualOfExplain(t *testing.T) {
	root := repository(t)
	t.Chdir(filepath.Join(root, "testdata", "words"))
	text := manualOfExplain
	for _, show := range []struct {
		place, command string
		code           int
	}{
		{"EXPLAIN", "midwatch explain payment-service/payment-availability after --traffic 2", 0},
		{"DIFF", "midwatch diff before after", 1},
		{"LINT", "midwatch lint after", 0},
	} {
		out, code := prints(t, strings.Fields(show.command)[1:]...)
		if code != show.code {
			t.Errorf("%s: exit code %d, want %d", show.command, code, show.code)
		}
		text = strings.Replace(text, show.place+"\n", "```\n$ "+show.command+"\n"+out+"```\n", 1)
	}
	golden.File(t, filepath.Join(root, "docs", "explain.md"), text)
}

const manualOfExplain = `# What an SLO does, and what a change does

This page shows three commands as they print; a test compares it with them. Their flags are in [commands.md](commands.md), the checks of lint in [lint.md](lint.md).

## explain: every number

EXPLAIN
**Times** are for errors that begin at once, where nothing failed before, and stay the same share of steady traffic. The ratio over a window W is then e·t/W after a time t, so a tier fires after W·threshold/e, when the later of its two windows has passed its threshold. The first time is for scrapes and evaluations that come just in time; the second adds a scrape, an evaluation of the windows and, for windows of a day and more, one of their own, and ` + "`for`" + `. They are compared with Prometheus' engine in ` + "`rules/explain`" + `.

**Resolves within** says how long after the end of errors that lasted as long as the tier's short window: W·(1 − threshold/e) of the window that falls below its threshold first.

**Low traffic.** A tier fires only when over its long window the failures exceed m − ½ + λ + z·√λ, where m is ` + "`min_failures`" + `, λ how many failures the objective allows there, and z the quantile of the standard normal distribution at ` + "`confidence`" + `. Below the traffic that is named, this asks for more than the threshold does. ` + "`--traffic`" + ` makes the table count it in; with ` + "`--prometheus`" + ` or ` + "`--config`" + ` the traffic is that of the quietest cluster or group.

**Where time is counted** instead of events (a gauge, time slices, a composite, a ratio without total), the error rate is the share of time, or of the components' weight, and a second is an event.

## diff: what a change changes, and who gets woken

DIFF
The exit codes are those of diff(1): 0 when nothing changes, 1 when something does, 2 in trouble. So a pipeline can ask for a second pair of eyes on a change that loses pages:

` + "```sh\nmidwatch diff --git main -o json slo/ | jq -e '.lost_pages == []'\n```" + `

An SLO that counts the same under another name is renamed. Its series begin anew all the same: their labels have the name.

## lint: valid, and yet wrong

LINT
`
