package source

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// YAML returns the SLO as a document of the native format. That of another
// tool's file begins with a comment that says which one it was made from.
func (s SLO) YAML() ([]byte, error) {
	var b bytes.Buffer
	if s.Format != "" {
		fmt.Fprintf(&b, "# From %s, line %d (%s", s.File, s.Line, s.Format)
		if s.From != "" {
			fmt.Fprintf(&b, ", %s", s.From)
		}
		b.WriteString(").\n")
	}
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(s.Document); err != nil {
		return nil, fmt.Errorf("write %s as YAML: %w", s.ID(), err)
	}
	if err := enc.Close(); err != nil {
		return nil, fmt.Errorf("write %s as YAML: %w", s.ID(), err)
	}
	return b.Bytes(), nil
}
