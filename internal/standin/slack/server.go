// Package slack stands in for Slack where there is none: for the part of its
// Web API that posts and changes messages, for Socket Mode, and for the people
// who read and click. It checks what Slack checks (tokens, members, channels,
// the limits of blocks), answers errors inside a 200 as Slack does, can be
// told to misbehave, and shows what a person sees. It tells nobody.
//
// slack-go's own slacktest answers everything with yes, and knows neither
// threads nor changes, limits, clicks or Socket Mode. Extend adds these to it.
//
// The behaviour follows Slack's documentation of the methods, of Block Kit, of
// request signatures and of Socket Mode (docs.slack.dev).
package slack

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Bounds of the stand-in itself.
const (
	maxBody     = 1 << 20
	maxMessages = 2000
)

// Config describes the workspace.
type Config struct {
	BotToken      string // xoxb-…
	AppToken      string // xapp-…
	SigningSecret string
	Users         []User
	Channels      []Channel
	RequestURL    string           // where clicks and commands go; "": over Socket Mode
	ResponseURL   string           // of the stand-in itself, for answers to clicks, such as http://127.0.0.1:8080
	NoHistory     bool             // the application has no scope to read messages
	Now           func() time.Time // default time.Now
}

// User is a person of the workspace.
type User struct {
	ID, Name, Email string
	Deactivated     bool
}

// Channel is a channel of the workspace.
type Channel struct {
	ID, Name string
	Outside  bool // the application is not a member
	Archived bool
}

// Message is a message that is in a conversation.
type Message struct {
	Conversation string // C… or D…
	User         string // whose direct messages these are; "" in a channel
	TS           string
	Thread       string   // TS of the message that it replies to; "" for none
	Broadcast    bool     // a reply that is shown in the conversation too
	Text         string   // for notifications
	Blocks       []Block  // what is shown
	Mentions     []string // users, here, channel or everyone whom it calls
	Metadata     string
	Edits        int
	Unfurls      bool // links in it are previewed
	Arrived      time.Time
}

// Notifies tells whether the message made a telephone ring when it came.
func (m Message) Notifies() bool { return m.Thread == "" || m.Broadcast || len(m.Mentions) > 0 }

// Counts tell how often methods were called, however answered.
type Counts map[string]int

// Fault is a way to misbehave, once.
type Fault struct {
	Method     string // such as chat.postMessage; "" is any
	Error      string // Slack's code for it, in a 200
	Status     int    // instead of 200
	RetryAfter string // a header
	Body       string // instead of JSON
	Hang       bool   // no answer until the client goes away
	Half       bool   // it is done, and half of the answer comes
	Lost       bool   // it is done, and answered with a 500
}

// Server is the stand-in, an http.Handler. It may be used from several
// goroutines.
type Server struct {
	config Config
	mux    *http.ServeMux

	mu        sync.Mutex
	messages  []Message // oldest first
	ephemeral []string  // what only the person who clicked sees, oldest first
	direct    map[string]string
	counts    Counts
	faults    []Fault
	serial    int
	sockets   map[*socket]bool
	tickets   map[string]bool
	replies   map[string]bool // ids of response URLs
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in of one workspace.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{
		config: c, mux: http.NewServeMux(), direct: map[string]string{}, counts: Counts{},
		sockets: map[*socket]bool{}, tickets: map[string]bool{}, replies: map[string]bool{},
	}
	for name, method := range s.methods() {
		s.mux.HandleFunc("POST /api/"+name, s.call(name, method))
	}
	s.mux.HandleFunc("GET /socket/{ticket}", s.connect)
	s.mux.HandleFunc("POST /response/{id}", s.respond)
	s.mux.HandleFunc("GET /{$}", s.screen)
	return s
}

// Mux is what slacktest.NewTestServer lets its customizers have.
type Mux interface {
	Handle(pattern string, handler http.HandlerFunc)
}

// Extend replaces slacktest's methods by the stand-in's.
func (s *Server) Extend(m Mux) {
	for name, method := range s.methods() {
		m.Handle("/"+name, s.call(name, method))
	}
	m.Handle("/socket/{ticket}", s.connect)
	m.Handle("/response/{id}", s.respond)
}

// ServeHTTP answers the Web API under /api/, Socket Mode under /socket/, and
// shows the conversations as a page at /.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Fail makes the next calls go wrong, one fault each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Messages returns what is in all conversations, oldest first, the newest
// 2,000.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Ephemeral returns what was shown to the person who clicked alone, oldest
// first.
func (s *Server) Ephemeral() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ephemeral)
}

// Counts returns how often methods were called.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

// Delete removes a message, as its reader may.
func (s *Server) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = slices.DeleteFunc(s.messages, func(m Message) bool { return m.TS == ts })
}

// Reach says where clicks and commands go, and where the stand-in is.
func (s *Server) Reach(requestURL, responseURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.RequestURL, s.config.ResponseURL = requestURL, responseURL
}

// fault takes the next fault of a method.
func (s *Server) fault(method string) (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[method]++
	for i, f := range s.faults {
		if f.Method == "" || f.Method == method {
			s.faults = slices.Delete(s.faults, i, i+1)
			return f
		}
	}
	return Fault{}
}

// next returns a number that was not given before.
func (s *Server) next() int {
	s.serial++
	return s.serial
}

// stamp returns the timestamp of a new message: microseconds, unique.
func (s *Server) stamp() string {
	return fmt.Sprintf("%d.%06d", s.config.Now().Unix(), s.next())
}

func (s *Server) user(id string) (User, bool) {
	i := slices.IndexFunc(s.config.Users, func(u User) bool { return u.ID == id })
	if i < 0 {
		return User{}, false
	}
	return s.config.Users[i], true
}

func (s *Server) channel(name string) (Channel, bool) {
	name = strings.TrimPrefix(name, "#")
	i := slices.IndexFunc(s.config.Channels, func(c Channel) bool { return c.ID == name || c.Name == name })
	if i < 0 {
		return Channel{}, false
	}
	return s.config.Channels[i], true
}

// directTo returns the conversation with a user.
func (s *Server) directTo(user string) string {
	if s.direct[user] == "" {
		s.direct[user] = fmt.Sprintf("D%08d", s.next())
	}
	return s.direct[user]
}

// owner returns whose direct messages a conversation is.
func (s *Server) owner(conversation string) string {
	for user, id := range s.direct {
		if id == conversation {
			return user
		}
	}
	return ""
}
