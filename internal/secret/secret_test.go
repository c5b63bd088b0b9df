package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

const value = "correct-horse"

func TestNothingPrintsTheSecret(t *testing.T) {
	s := struct {
		Token secret.Secret `json:"token" yaml:"token"`
	}{secret.New(value)}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("start", "config", s, "token", s.Token)
	asJSON, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	asYAML, err := yaml.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", s), "%+v": fmt.Sprintf("%+v", s), "%#v": fmt.Sprintf("%#v", s.Token), "%s": fmt.Sprint(s.Token),
		"slog": logged.String(), "JSON": string(asJSON), "YAML": string(asYAML),
	} {
		if strings.Contains(text, value) {
			t.Errorf("%s prints the secret: %s", name, text)
		}
		if !strings.Contains(text, "secret>") && name != "JSON" {
			t.Errorf("%s does not say that there is one: %s", name, text)
		}
	}
}

func TestRedact(t *testing.T) {
	if got := secret.New(value).Redact("GET /?key=" + value + " failed"); got != "GET /?key=<secret> failed" {
		t.Error(got)
	}
	if got := secret.New("").Redact("as it was"); got != "as it was" {
		t.Error(got)
	}
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	full, empty := filepath.Join(dir, "full"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{full: value + "\n", empty: " \n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		inline, file string
		want, err    string
	}{
		"inline":       {inline: value, want: value},
		"file":         {file: full, want: value},
		"neither":      {},
		"both":         {inline: "x", file: full, err: "token and token_file are both set"},
		"empty file":   {file: empty, err: "is empty"},
		"missing file": {file: filepath.Join(dir, "none"), err: "read token_file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := secret.Resolve("token", secret.New(tt.inline), tt.file)
			if got.Reveal() != tt.want {
				t.Errorf("got %q, want %q", got.Reveal(), tt.want)
			}
			if (err == nil) != (tt.err == "") || (err != nil && !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want one with %q", err, tt.err)
			}
		})
	}
}
