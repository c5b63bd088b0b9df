package email

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/emersion/go-msgauth/dkim"
	gomail "github.com/wneessen/go-mail"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// DKIM says how mails are signed (RFC 6376). Key and KeyFile are alternatives.
type DKIM struct {
	Domain   string        `yaml:"domain"`   // default that of the sender
	Selector string        `yaml:"selector"` // the public key is at SELECTOR._domainkey.DOMAIN
	Key      secret.Secret `yaml:"key"`      // private, PEM: RSA of 1024 bits or more, or Ed25519 (RFC 8463)
	KeyFile  string        `yaml:"key_file"`
}

// minRSA is the least that is verified, in bits (RFC 8301, section 3.2).
const minRSA = 1024

var domainName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9])?)*$`)

func (d DKIM) check() error {
	var errs []error
	if !domainName.MatchString(d.Selector) {
		errs = append(errs, errors.New("selector: want a name such as midwatch"))
	}
	if d.Domain != "" && !domainName.MatchString(d.Domain) {
		errs = append(errs, errors.New("domain: want a name such as example.com"))
	}
	if d.Key.Empty() == (d.KeyFile == "") {
		errs = append(errs, errors.New("key: give key or key_file"))
	}
	return errors.Join(errs...)
}

// signer signs mails for one domain.
type signer struct{ options dkim.SignOptions }

// signer reads the key.
func (d DKIM) signer(from string) (signer, error) {
	text, err := secret.Resolve("key", d.Key, d.KeyFile)
	if err != nil {
		return signer{}, err
	}
	key, err := privateKey([]byte(text.Reveal()))
	if err != nil {
		return signer{}, fmt.Errorf("key: %w", err)
	}
	if d.Domain == "" {
		_, d.Domain, _ = strings.Cut(from, "@")
	}
	return signer{dkim.SignOptions{
		Domain: d.Domain, Selector: d.Selector, Signer: key,
		HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		HeaderKeys: []string{
			"From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type", "List-Id", "Auto-Submitted",
		},
	}}, nil
}

// privateKey reads a key in PEM. What it says never repeats the key.
func privateKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("no PEM")
	}
	var (
		key any
		err error
	)
	if block.Type == "RSA PRIVATE KEY" {
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	} else {
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, fmt.Errorf("no private key of PKCS #1 or #8 in a block %q", oneLine(block.Type, maxName))
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("%d bits, at least %d are verified", key.N.BitLen(), minRSA)
		}
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, fmt.Errorf("a %T: want RSA or Ed25519", key)
}

// sign adds the signatures to a mail that is complete.
func (n *Notifier) sign(msg *gomail.Msg) error {
	if len(n.signers) == 0 {
		return nil
	}
	var content bytes.Buffer
	if _, err := msg.WriteTo(&content); err != nil {
		return err
	}
	var signatures []string
	for _, s := range n.signers {
		signature, err := s.sign(content.Bytes())
		if err != nil {
			return fmt.Errorf("sign mail for %s: %w", s.options.Domain, err)
		}
		signatures = append(signatures, signature)
	}
	const name = "DKIM-Signature"
	whole := strings.Join(signatures, "\r\n") // a field each
	msg.SetGenHeaderPreformatted(name, strings.TrimSpace(strings.TrimPrefix(whole, name+":")))
	return nil
}

// sign returns the header field.
func (s signer) sign(content []byte) (string, error) {
	d, err := dkim.NewSigner(&s.options)
	if err != nil {
		return "", err
	}
	_, err = d.Write(content)
	if err := errors.Join(err, d.Close()); err != nil {
		return "", err
	}
	return strings.TrimSpace(d.Signature()), nil
}
