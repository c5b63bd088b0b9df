package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestColoursAreForTerminalsAlone(t *testing.T) {
	c := &cobra.Command{}
	c.SetOut(&bytes.Buffer{})
	if p := palette(c); p.red("x") != "x" || p.width != 0 {
		t.Errorf("a buffer gets %q, %d columns", p.red("x"), p.width)
	}
	if got := (ink{colour: true}).level("P1", "x"); got != "\x1b[1;31mx\x1b[0m" {
		t.Errorf("P1 is %q", got)
	}
}

func TestTablesFitTheWidth(t *testing.T) {
	table := grid{ink: ink{width: 40}, indent: 2}
	table.row("RULE", "WHY")
	table.row("一二三", "the selector of errors is not a part of that of the total")
	table.row("\x1b[31mred\x1b[0m", "short")
	var b strings.Builder
	if err := table.write(&b); err != nil {
		t.Fatal(err)
	}
	want := `
  RULE    WHY
  一二三  the selector of errors is not
          a part of that of the total
  ` + "\x1b[31mred\x1b[0m" + `     short
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s want %s", got, want)
	}
}
