package slack

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestTheDocumentIsWhole keeps the document's table of fields and its manifest
// those of the code.
func TestTheDocumentIsWhole(t *testing.T) {
	b, err := os.ReadFile("../../docs/channels/slack.md")
	if err != nil {
		t.Fatal(err)
	}
	document := string(b)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if tag := f.Tag.Get("yaml"); tag != "-" && !strings.Contains(document, "`"+tag+"`") {
			t.Errorf("%s is not documented", tag)
		}
	}
	_, manifest, _ := strings.Cut(document, "```yaml\ndisplay_information:")
	manifest, _, _ = strings.Cut(manifest, "```")
	var app struct {
		OAuth struct {
			Scopes struct {
				Bot []string `yaml:"bot"`
			} `yaml:"scopes"`
		} `yaml:"oauth_config"`
		Settings struct {
			Interactivity struct {
				Enabled bool `yaml:"is_enabled"`
			} `yaml:"interactivity"`
			SocketMode bool `yaml:"socket_mode_enabled"`
		} `yaml:"settings"`
	}
	if err := yaml.Unmarshal([]byte("display_information:"+manifest), &app); err != nil {
		t.Fatal(err)
	}
	// By the pages of the methods that are called.
	want := []string{
		"channels:history", "chat:write", "commands", "groups:history", "im:history", "im:write", "users:read", "users:read.email",
	}
	slices.Sort(app.OAuth.Scopes.Bot)
	if !slices.Equal(app.OAuth.Scopes.Bot, want) || !app.Settings.SocketMode || !app.Settings.Interactivity.Enabled {
		t.Errorf("got %+v", app)
	}
}
