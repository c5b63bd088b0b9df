package slack

import (
	"context"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/page"
)

var (
	userID         = regexp.MustCompile(`^[UW][A-Z0-9]{5,30}$`)
	conversationID = regexp.MustCompile(`^[CGD][A-Z0-9]{5,30}$`)
)

// isChannelName says whether an address is the name of a channel, with or
// without a #: at most 80 letters that are not capitals, digits, and hyphens
// and underscores after the first. As a regular expression it would be of
// megabytes.
func isChannelName(address string) bool {
	name := strings.TrimPrefix(address, "#")
	for i, r := range name {
		letter := unicode.In(r, unicode.Ll, unicode.Lo, unicode.M) || r >= '0' && r <= '9'
		if !letter && (i == 0 || r != '_' && r != '-') {
			return false
		}
	}
	n := utf8.RuneCountInString(name)
	return n >= 1 && n <= 80
}

// target is where an address leads.
type target struct {
	conversation string // id, or the name of a channel with a #
	user         string // whose direct messages it is; "" for a channel
}

// resolve finds the conversation of an address.
func (n *Notifier) resolve(ctx context.Context, address string) (target, error) {
	switch {
	case conversationID.MatchString(address):
		return target{conversation: address}, nil
	case userID.MatchString(address):
		return n.direct(ctx, address)
	case isEmail(address):
		return n.mailbox(ctx, address)
	case isChannelName(address):
		return target{conversation: "#" + strings.TrimPrefix(address, "#")}, nil
	}
	return target{}, &refusal{words: fmt.Sprintf("%.100q is neither a user id, an email address nor a channel", address)}
}

func isEmail(address string) bool {
	a, err := mail.ParseAddress(address)
	return err == nil && a.Address == address
}

func (n *Notifier) mailbox(ctx context.Context, address string) (target, error) {
	address = strings.ToLower(address)
	id := n.memory.user(address)
	if id == "" {
		var err error
		if id, err = n.api.lookup(ctx, address); err != nil {
			return target{}, err
		}
		n.memory.remember(address, id)
	}
	return n.direct(ctx, id)
}

func (n *Notifier) direct(ctx context.Context, user string) (target, error) {
	if id := n.memory.conversation(user); id != "" {
		return target{id, user}, nil
	}
	id, err := n.api.open(ctx, user)
	if err != nil {
		return target{}, err
	}
	n.memory.converse(user, id)
	return target{id, user}, nil
}

// maxMemory bounds each thing that is remembered.
const maxMemory = 10000

// memory keeps what Slack need not be asked again, and the keys of the pages
// of which nobody knows whether they arrived.
type memory struct {
	mu       sync.Mutex
	users    map[string]string  // by email address
	directs  map[string]string  // conversations by user
	channels map[string]string  // ids by #name
	profiles map[string]profile // of who presses buttons, by user
	doubts   map[string]bool    // by key: whether it may have arrived
}

func newMemory() *memory {
	return &memory{
		users: map[string]string{}, directs: map[string]string{}, channels: map[string]string{}, profiles: map[string]profile{},
		doubts: map[string]bool{},
	}
}

func get[V any](m *memory, in map[string]V, key string) (V, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := in[key]
	return v, ok
}

func put[V any](m *memory, in map[string]V, key string, value V) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(in) >= maxMemory {
		clear(in)
	}
	in[key] = value
}

func (m *memory) user(address string) string {
	id, _ := get(m, m.users, address)
	return id
}

func (m *memory) remember(address, id string) { put(m, m.users, address, id) }

func (m *memory) conversation(user string) string {
	id, _ := get(m, m.directs, user)
	return id
}

func (m *memory) converse(user, id string) { put(m, m.directs, user, id) }

// name remembers the id of a channel that was called by its name.
func (m *memory) name(conversation, id string) {
	if strings.HasPrefix(conversation, "#") {
		put(m, m.channels, conversation, id)
	}
}

// id returns the id of a conversation, or what it was called by.
func (m *memory) id(conversation string) string {
	if id, ok := get(m, m.channels, conversation); ok {
		return id
	}
	return conversation
}

// inDoubt tells whether an earlier try of the page may have arrived: one of
// this process that got no clear answer, or one of which it knows nothing.
func (m *memory) inDoubt(p page.Page) bool {
	doubt, known := get(m, m.doubts, p.Key)
	return doubt || !known && p.Attempt > 1
}

func (m *memory) doubt(key string) { put(m, m.doubts, key, true) }

// settle notes that a try got a clear answer. A doubt stays a doubt: what is
// refused now may have arrived before.
func (m *memory) settle(key string) {
	if doubt, _ := get(m, m.doubts, key); !doubt {
		put(m, m.doubts, key, false)
	}
}
