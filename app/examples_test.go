package app

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/servers"
	"github.com/midwatch-slo/midwatch/oncall"
)

// TestExamplesLoad builds what a server serves of each example, whose secrets
// are made up here, and looks for what would let somebody down.
func TestExamplesLoad(t *testing.T) {
	for _, name := range []string{"shop", "company"} {
		t.Run(name, func(t *testing.T) {
			s, err := makeState(Options{ConfigFile: copyExample(t, name), Logger: slog.New(slog.DiscardHandler)}, &fleetKeeper{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(s.close)
			at := time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
			for _, f := range s.roster.Lint(at, oncall.Horizon, s.senders.Channels()...) {
				t.Errorf("%s: %s", f.Severity, f.Error())
			}
		})
	}
}

// TestCompanyExampleHasEverything holds the larger example to having every
// part of the configuration, and every kind of channel.
func TestCompanyExampleHasEverything(t *testing.T) {
	path := copyExample(t, "company")
	c, err := LoadConfig(path)
	if err != nil {
		t.Fatal(err)
	}
	var has map[string]yaml.Node
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(content, &has); err != nil {
		t.Fatal(err)
	}
	for field := range reflect.TypeFor[Config]().Fields() {
		if key := field.Tag.Get("yaml"); key != "" && key != "-" && !slices.Contains(slices.Collect(maps.Keys(has)), key) {
			t.Errorf("it has no %q", key)
		}
	}
	var kinds []string
	for _, ch := range c.Channels {
		kinds = append(kinds, ch.Kind)
	}
	for _, kind := range kindNames() {
		if !slices.Contains(kinds, kind) {
			t.Errorf("it has no channel of the kind %q", kind)
		}
	}
}

// TestEveryKeyIsDocumented looks for each key of the configuration in the
// documents that say what it is.
func TestEveryKeyIsDocumented(t *testing.T) {
	documented(t, reflect.TypeFor[Config](), "operating.md", "paging.md", "ingest.md", "federation.md", "fleet.md", "clusters.md", "evidence.md")
	for _, name := range kindNames() {
		k, _ := kindOf(name)
		documented(t, reflect.TypeOf(k.config()), filepath.Join("channels", strings.TrimSuffix(name, "_robot")+".md"))
	}
}

// documented finds keys that none of the documents names.
func documented(t *testing.T, config reflect.Type, documents ...string) {
	t.Helper()
	root, err := servers.Root()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, name := range documents {
		content, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		text.Write(content)
	}
	for _, key := range keysOf(config) {
		if !regexp.MustCompile(`\W` + regexp.QuoteMeta(key) + `\W`).MatchString(text.String()) {
			t.Errorf("%s name no %q", strings.Join(documents, ", "), key)
		}
	}
}

// keysOf returns the keys of a part of the configuration and of those below,
// but for maps.
func keysOf(part reflect.Type) (keys []string) {
	for part.Kind() == reflect.Pointer || part.Kind() == reflect.Slice {
		part = part.Elem()
	}
	if part.Kind() != reflect.Struct {
		return nil
	}
	for field := range part.Fields() {
		key, how, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if !field.IsExported() || key == "-" || key == "" && how != "inline" {
			continue
		}
		if key != "" {
			keys = append(keys, key)
		}
		if field.Type.Kind() != reflect.Map {
			keys = append(keys, keysOf(field.Type)...)
		}
	}
	return keys
}

// copyExample copies an example, gives it secrets, and returns the path of its
// configuration.
func copyExample(t *testing.T, name string) string {
	t.Helper()
	root, err := servers.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(root, "examples", name))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "midwatch.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "secrets"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`_file: (secrets/[\w.-]+)`).FindAllStringSubmatch(string(content), -1) {
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte(madeUp(t, filepath.Base(m[1]))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// madeUp returns a secret of the form that one of this name has.
func madeUp(t *testing.T, name string) string {
	t.Helper()
	switch name {
	case "slack":
		return "xoxb-made-up"
	case "slack-app":
		return "xapp-made-up"
	case "wecom-aes-key":
		return strings.Repeat("a", 42) + "A"
	case "heartbeat", "phone":
		return "https://example.com/" + name
	case "postgresql":
		return "postgres://midwatch:made-up@db.example.com/midwatch"
	case "dkim.pem":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	default:
		return "made-up-" + name
	}
}
