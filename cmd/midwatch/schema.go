package main

import (
	"github.com/spf13/cobra"

	"github.com/midwatch-slo/midwatch/slo"
)

func schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print a JSON Schema of SLO files, for editors",
		Long: `Prints the JSON Schema (draft-07) of Midwatch's own SLO files. With it an
editor completes fields, shows what each means and marks what is wrong while
it is typed. A schema cannot read expressions or compare fields: midwatch
validate does.

An editor that speaks to the YAML language server takes it from the first line
of a file:

# yaml-language-server: $schema=slo.schema.json

Exit code 0: printed; 2: called wrongly.`,
		Example: "  midwatch schema > slo.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := cmd.OutOrStdout().Write(slo.Schema())
			return err
		},
	}
}
