package provider

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// Settings are what the configuration of every provider has.
type Settings struct {
	APIURL  string        `yaml:"api_url"` // where the API is; default the provider's own address
	Timeout time.Duration `yaml:"timeout"` // of one send; default 10s

	Name      string            `yaml:"-"` // of the channel; default the provider's name
	Logger    *slog.Logger      `yaml:"-"` // default: none
	Transport http.RoundTripper `yaml:"-"` // default: one of its own, by the proxy of the environment
	Now       func() time.Time  `yaml:"-"` // default time.Now
}

// Check returns what is wrong with the settings, each error naming its field;
// usual is the provider's own address.
func (s Settings) Check(usual string) []error {
	var errs []error
	if u, err := url.Parse(s.APIURL); s.APIURL != "" && (err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http")) {
		errs = append(errs, fmt.Errorf("api_url: want a URL such as %s", usual))
	}
	if s.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	return errs
}

// Default fills what is not set: the provider's name and its own address.
func (s *Settings) Default(name, usual string) {
	if s.APIURL == "" {
		s.APIURL = usual
	}
	s.APIURL = strings.TrimRight(s.APIURL, "/")
	if s.Name == "" {
		s.Name = name
	}
	if s.Timeout == 0 {
		s.Timeout = 10 * time.Second
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Transport == nil {
		s.Transport = Transport()
	}
}

// Missing returns an error when there is neither a secret nor a file of it.
func Missing(field string, s secret.Secret, file string) []error {
	if !s.Empty() || file != "" {
		return nil
	}
	return []error{fmt.Errorf("%s: missing: give %[2]s or %[2]s_file", field, field[strings.LastIndex(field, ".")+1:])}
}

// OneOf returns an error when a value is not "" and none of those that there
// are.
func OneOf(field, value string, of ...string) []error {
	if value == "" || slices.Contains(of, value) {
		return nil
	}
	return []error{fmt.Errorf("%s: %q is none of %s", field, value, strings.Join(of, ", "))}
}
