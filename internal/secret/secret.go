// Package secret holds values that must never be printed.
package secret

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

const mask = "<secret>"

// Secret is a string that prints, logs and marshals as "<secret>". Reveal
// returns the string itself.
type Secret struct{ value string }

// New returns a secret of value.
func New(value string) Secret { return Secret{value} }

// Reveal returns the secret itself, for the one place that sends it.
func (s Secret) Reveal() string { return s.value }

// Empty tells whether there is no secret.
func (s Secret) Empty() bool { return s.value == "" }

// String returns "<secret>", or nothing when there is none.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return mask
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the secret.
func (s *Secret) UnmarshalText(b []byte) error {
	s.value = string(b)
	return nil
}

// Redact replaces every occurrence of the secret in text.
func (s Secret) Redact(text string) string {
	if s.value == "" {
		return text
	}
	return strings.ReplaceAll(text, s.value, mask)
}

// Resolve returns inline, or the content of file without white space around
// it. Giving both, or a file that is empty, is an error that names field.
func Resolve(field string, inline Secret, file string) (Secret, error) {
	if file == "" {
		return inline, nil
	}
	if !inline.Empty() {
		return Secret{}, fmt.Errorf("%s and %s_file are both set: keep one", field, field)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return Secret{}, fmt.Errorf("read %s_file: %w", field, err)
	}
	value := strings.TrimSpace(string(b))
	if value == "" {
		return Secret{}, fmt.Errorf("read %s_file: %s is empty", field, file)
	}
	return Secret{value}, nil
}
