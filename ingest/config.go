package ingest

import (
	"github.com/midwatch-slo/midwatch/internal/secret"
)

// Config is what somebody configures of what others send.
type Config struct {
	Severities       Severities    `yaml:"severities"`         // what their severities mean, besides DefaultSeverities: {critical: P1}
	SentrySecret     secret.Secret `yaml:"sentry_secret"`      // client secret of Sentry's integration; none: signatures are not checked
	SentrySecretFile string        `yaml:"sentry_secret_file"` // the same, in a file
}

// Table returns the severities that hold.
func (c Config) Table() Severities { return DefaultSeverities().With(c.Severities) }

// Secret returns the client secret of Sentry's integration, empty when none
// is configured.
func (c Config) Secret() (secret.Secret, error) {
	return secret.Resolve("ingest.sentry_secret", c.SentrySecret, c.SentrySecretFile)
}
