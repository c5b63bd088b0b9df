package email

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/mail"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// The TLS policies. "mandatory", "opportunistic" and "implicit" are older names
// of the first three.
const (
	StartTLS      = "starttls"               // STARTTLS, or nothing is sent
	Opportunistic = "starttls-opportunistic" // STARTTLS where the server offers it
	Implicit      = "tls"                    // TLS from the first byte, as on port 465
	None          = "none"                   // in the clear; no password is sent
)

func policies() map[string]string {
	return map[string]string{
		"": StartTLS, StartTLS: StartTLS, Opportunistic: Opportunistic, Implicit: Implicit, None: None,
		"mandatory": StartTLS, "opportunistic": Opportunistic, "implicit": Implicit,
	}
}

// Config says which server sends for whom. Password and PasswordFile are
// alternatives.
type Config struct {
	Smarthost    string        `yaml:"smarthost"`   // host:port
	From         string        `yaml:"from"`        // an address, with a name before it if wanted
	TLS          string        `yaml:"tls"`         // default starttls
	CAFile       string        `yaml:"ca_file"`     // PEM; whom to trust in place of the machine's roots
	ServerName   string        `yaml:"server_name"` // in the server's certificate; default the smarthost's
	Username     string        `yaml:"username"`    // "": no authentication
	Password     secret.Secret `yaml:"password"`
	PasswordFile string        `yaml:"password_file"`
	Hello        string        `yaml:"hello"`   // what to call ourselves; default the machine's name
	DKIM         []DKIM        `yaml:"dkim"`    // a signature each; default none
	Timeout      time.Duration `yaml:"timeout"` // of one send; default 20s

	Name      string       `yaml:"-"` // of the channel; default email
	Logger    *slog.Logger `yaml:"-"` // default: none
	TLSConfig *tls.Config  `yaml:"-"` // default: by CAFile and ServerName
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Files are not read.
func (c Config) Check() error {
	var errs []error
	if host, port, err := net.SplitHostPort(c.Smarthost); err != nil || host == "" || !isPort(port) {
		errs = append(errs, errors.New("smarthost: want host:port, such as smtp.example.com:587"))
	}
	if _, err := address(c.From); err != nil {
		errs = append(errs, errors.New(`from: want an address, such as "Midwatch <midwatch@example.com>"`))
	}
	policy, ok := policies()[c.TLS]
	switch {
	case !ok:
		errs = append(errs, fmt.Errorf("tls: %q is none of starttls, starttls-opportunistic, tls, none", c.TLS))
	case policy == None && c.Username != "":
		errs = append(errs, errors.New("tls: a password is not sent in the clear: want starttls or tls"))
	}
	if c.Username != "" && c.Password.Empty() && c.PasswordFile == "" {
		errs = append(errs, errors.New("password: missing: give password or password_file"))
	}
	for i, d := range c.DKIM {
		if err := d.check(); err != nil {
			errs = append(errs, fmt.Errorf("dkim[%d]: %w", i, err))
		}
	}
	if c.Timeout < 0 {
		errs = append(errs, errors.New("timeout: want more than 0"))
	}
	return errors.Join(errs...)
}

// address parses one address, with or without a name. It takes only what
// needs no quotes between "<" and ">" of an SMTP command.
func address(text string) (*mail.Address, error) {
	a, err := mail.ParseAddress(text)
	const most = 254 // bytes: RFC 5321, section 4.5.3.1.3
	if err != nil || len(a.Address) > most || strings.Count(a.Address, "@") != 1 || strings.ContainsFunc(a.Address, unfit) {
		return nil, fmt.Errorf("%q is no address", oneLine(text, maxName))
	}
	return a, nil
}

func unfit(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || strings.ContainsRune(`<>"(),:;\[]`, r)
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

func (c *Config) defaults() (err error) {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Password, err = secret.Resolve("password", c.Password, c.PasswordFile); err != nil {
		return err
	}
	c.TLS = policies()[c.TLS]
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	if c.Name == "" {
		c.Name = "email"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c.trust()
}

// trust says whose certificates are taken.
func (c *Config) trust() error {
	if c.TLSConfig != nil {
		c.TLSConfig = c.TLSConfig.Clone()
	} else {
		c.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return fmt.Errorf("read ca_file: %w", err)
		}
		c.TLSConfig.RootCAs = x509.NewCertPool()
		if !c.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("read ca_file: %s holds no certificate", c.CAFile)
		}
	}
	host, _, err := net.SplitHostPort(c.Smarthost)
	c.TLSConfig.ServerName = cmp.Or(c.ServerName, c.TLSConfig.ServerName, host)
	return err
}
