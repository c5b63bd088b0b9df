package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

// minToken is how short a token may be, in bytes.
const minToken = 8

// TokenConfig is one token of those who may act, as it is configured.
type TokenConfig struct {
	Name      string        `yaml:"name"` // who acts with it; "" lets the request say
	Token     secret.Secret `yaml:"token"`
	TokenFile string        `yaml:"token_file"`
}

// Tokens tells who may act.
type Tokens struct{ known []token }

type token struct {
	name    string
	cluster string // of an ingest token: where its alerts come from
	sum     [sha256.Size]byte
}

// NewTokens reads the configured tokens. A token that is missing, shorter
// than 8 bytes or given twice is an error that names its place, never its
// value.
func NewTokens(configs []TokenConfig) (*Tokens, error) { return newTokens("tokens", configs) }

func newTokens(list string, configs []TokenConfig) (*Tokens, error) {
	t := &Tokens{}
	seen := map[[sha256.Size]byte]int{}
	for i, c := range configs {
		field := fmt.Sprintf("%s.%d.token", list, i)
		s, err := secret.Resolve(field, c.Token, c.TokenFile)
		if err != nil {
			return nil, err
		}
		if len(s.Reveal()) < minToken {
			return nil, fmt.Errorf("%s: needs %d bytes or more", field, minToken)
		}
		sum := sha256.Sum256([]byte(s.Reveal()))
		if first, ok := seen[sum]; ok {
			return nil, fmt.Errorf("%s: the same as %s.%d.token", field, list, first)
		}
		seen[sum] = i
		t.known = append(t.known, token{name: c.Name, sum: sum})
	}
	return t, nil
}

// find looks a token up in a time that depends neither on its value nor on
// which one it is.
func (t *Tokens) find(value string) (found token, ok bool) {
	sum := sha256.Sum256([]byte(value))
	at := -1
	for i, k := range t.known {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(sum[:], k.sum[:]), i, at)
	}
	if at < 0 {
		return token{}, false
	}
	return t.known[at], true
}

// actor returns who acts with a token: its own name, else who the request
// says, else a word for nobody in particular.
func (t *Tokens) actor(value, by string) (string, error) {
	if len(t.known) == 0 {
		return "", errNoTokens
	}
	who, ok := t.find(value)
	switch {
	case !ok && value == "":
		return "", errTokenMissing
	case !ok:
		return "", errTokenUnknown
	case who.name != "":
		return who.name, nil
	case by != "":
		return by, nil
	}
	return "somebody with a token", nil
}

// allNamed tells whether a token alone says who acts.
func (t *Tokens) allNamed() bool {
	for _, k := range t.known {
		if k.name == "" {
			return false
		}
	}
	return true
}

// bearer returns the token of the Authorization header, "" when it has none.
func bearer(r *http.Request) string {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(value)
}

// credential returns the token of the Authorization header: of Bearer, or the
// password of Basic.
func credential(r *http.Request) string {
	if _, password, ok := r.BasicAuth(); ok {
		return password
	}
	return bearer(r)
}
