package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/midwatch-slo/midwatch/internal/golden"
)

const aboutCommands = `# Commands

This page is made from the commands' own help texts; a test compares it with them.

| when | what to type |
|---|---|
| a page arrives | ` + "`midwatch incident show 7`, `midwatch incident ack 7`" + ` |
| it is not yours, or too much for one | ` + "`midwatch incident assign 7 li.na`, `midwatch incident add 7 zhang.wei`, `midwatch incident escalate 7`" + ` |
| it can wait | ` + "`midwatch incident snooze 7 --until 09:30`" + ` |
| work is planned | ` + "`midwatch silence add service=payments --for 2h --comment \"moving house\"`" + ` |
| you go out for the evening | ` + "`midwatch oncall override add --schedule payments --user zhang.wei --until 2026-12-24T23:00:00+08:00`" + ` |
| you wonder whether you would be woken | ` + "`midwatch drill --user li.na`" + ` |
| you wonder whether others were | ` + "`midwatch delivery`, `midwatch drill list`" + ` |
| you change a file | ` + "`midwatch validate midwatch.yaml`" + ` |
| you write or change an SLO | ` + "`midwatch lint slo/`, `midwatch explain payments/availability slo/`, `midwatch diff --git main slo/`" + ` |
| you wonder what it would have paged | ` + "`midwatch simulate --from 2026-10-01 --to 2026-11-01 --prometheus http://prometheus:9090 slo/`" + ` |
| you want it to stay so | ` + "`midwatch test slo/`" + ` |
| before an upgrade | ` + "`midwatch backup --out midwatch.backup`" + ` |

**Exit codes**, of every command but ` + "`diff`" + `: 0 when all is well; 1 when it ran and found something wrong, or could not do it; 2 when it was called wrongly.

**The server.** Commands that speak to a running Midwatch take ` + "`--url` or `MIDWATCH_URL`" + `; what acts needs a token, in a file that ` +
	"`--token-file` or `MIDWATCH_TOKEN_FILE` names, or in `MIDWATCH_TOKEN`" + `. Those that take ` + "`--config`" + ` read files, and the database where they must.

**Times** of ` + "`incident`, `silence` and `report`" + ` are RFC 3339, or ` + "`2026-12-24 09:00`, `2026-12-24` or `09:00`" + ` (the next one) by the clock of this machine; those of ` + "`oncall`" + ` are RFC 3339. Lengths of time are like ` + "`30m`, `2h`, `1d`" + `.

**Scripts** take ` + "`--json`" + `: field names are those of the [HTTP API](api.md).

**Completion** of commands, incidents, silences, schedules and people: ` + "`source <(midwatch completion bash)`" + `, or ` + "`zsh`, `fish`, `powershell`" + `.
`

// TestCommandReferenceGolden keeps docs/commands.md as the help texts are.
func TestCommandReferenceGolden(t *testing.T) {
	t.Setenv("MIDWATCH_URL", "")
	t.Setenv("MIDWATCH_TOKEN_FILE", "")
	var b strings.Builder
	b.WriteString(aboutCommands)
	for _, c := range rootCommand().Commands() {
		document(&b, c, 2)
	}
	golden.File(t, filepath.Join(repository(t), "docs", "commands.md"), b.String())
}

func document(b *strings.Builder, c *cobra.Command, depth int) {
	if !c.IsAvailableCommand() {
		return
	}
	if c.Long == "" && c.Short == "" {
		return
	}
	fmt.Fprintf(b, "\n%s %s\n\n", strings.Repeat("#", depth), c.CommandPath())
	fmt.Fprintf(b, "%s\n", sentences(c))
	if c.Runnable() {
		fmt.Fprintf(b, "\n```\n%s\n```\n", c.UseLine())
	}
	if c.Example != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", strings.ReplaceAll("\n"+c.Example, "\n  ", "\n")[1:])
	}
	flags(b, c)
	for _, sub := range c.Commands() {
		document(b, sub, depth+1)
	}
}

func sentences(c *cobra.Command) string {
	text := cmp.Or(c.Long, strings.ToUpper(c.Short[:1])+c.Short[1:]+".")
	return strings.NewReplacer("<", "\\<", "*", "\\*", "|", "\\|").Replace(text)
}

func flags(b *strings.Builder, c *cobra.Command) {
	var rows []string
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		name := "`--" + f.Name + "`"
		if f.Shorthand != "" {
			name += ", `-" + f.Shorthand + "`"
		}
		initial := f.DefValue
		switch {
		case f.Name == "by" && initial != "":
			initial = "whoever is logged in"
		case initial == "[]" || initial == "false":
			initial = ""
		case initial != "":
			initial = "`" + initial + "`"
		}
		rows = append(rows, fmt.Sprintf("| %s | %s | %s |\n", name, initial, strings.ReplaceAll(f.Usage, "|", "\\|")))
	})
	if len(rows) > 0 {
		fmt.Fprintf(b, "\n| flag | default | |\n|---|---|---|\n%s", strings.Join(rows, ""))
	}
}
