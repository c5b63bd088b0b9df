package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/slo"
)

func validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate PATH…",
		Short: "check SLO files",
		Long: `Reads SLO files, and folders of them, and prints every problem of every file
with its place and how to mend it.

Exit code 0: all are valid; 1: they are not; 2: called wrongly.`,
		Example: "  midwatch validate slo/\n  midwatch validate slo/payments.yaml slo/orders.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			slos, err := slo.Load(paths)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s valid\n", count(len(slos), "SLO"))
			return nil
		},
	}
}

// count returns "1 SLO" or "3 SLOs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
