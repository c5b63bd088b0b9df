// Package wecom stands in for the WeCom API where there is none: it checks
// what the provider checks (credentials, tokens and their expiry, members,
// sizes, rates, duplicates, cards and the codes that change them once), sends
// signed callbacks of clicks and messages, answers errors inside a 200 as the
// provider does, can be told to misbehave, and shows what arrived as a reader
// would see it. It is no WeCom: it knows texts, Markdown and cards with
// buttons of one application and of group robots, and tells nobody.
//
// The behaviour follows the provider's documentation of gettoken, of
// message/send, of updating cards, of callbacks and their encryption, of group
// robots, of error codes and of rate limits (developer.work.weixin.qq.com,
// documents 91039, 90236, 94888, 90240, 90968, 91770, 90313, 90312).
package wecom

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
)

// The provider's limits.
const (
	MaxText          = 2048 // bytes of a text or of Markdown; what is longer is cut
	PerMinute        = 30   // messages to one member; what is more is dropped, with an errcode of 0
	PerHour          = 1000
	RobotPerMinute   = 20             // messages of one robot; what is more is dropped, with an errcode of 0
	MaxRobotMarkdown = 4096           // bytes of a robot's Markdown; what is longer is refused
	CodeLife         = 72 * time.Hour // of a response code, which changes a card once
)

// Bounds of the stand-in itself.
const (
	maxBody     = 1 << 20
	maxMessages = 500
)

// Config describes the company that the stand-in knows.
type Config struct {
	CorpID, Secret string
	AgentID        int
	Members        []string         // user ids, case does not matter; none: everybody is known
	Robots         []string         // keys of group robots
	TokenLifetime  time.Duration    // default 2 h, as the provider's
	Now            func() time.Time // default time.Now

	// Where and how callbacks are sent; no address: none are, and cards are
	// refused.
	CallbackURL, CallbackToken, CallbackKey string
	Transport                               http.RoundTripper // of callbacks; default one of its own
	Repeats                                 int               // how often a callback comes again though it was answered
}

// Message is one message that reached a member, or the group of a robot.
type Message struct {
	ID        string    `json:"id"`
	To        string    `json:"to"`   // a member, or a robot's key
	Type      string    `json:"type"` // text, markdown or template_card
	Text      string    `json:"text"` // of a card: what can be read on it
	Mentioned []string  `json:"mentioned,omitempty"`
	Card      *Card     `json:"card,omitempty"`
	Cut       bool      `json:"cut"` // the provider cut it to its limit
	Arrived   time.Time `json:"arrived"`
}

// Counts tell what happened besides messages that arrived.
type Counts struct {
	Tokens     int `json:"tokens"`     // times a token was given
	Sends      int `json:"sends"`      // requests to send, however answered
	Duplicates int `json:"duplicates"` // accepted, and shown to nobody again
	Dropped    int `json:"dropped"`    // accepted, and dropped for the rate of one member or robot
	Updates    int `json:"updates"`    // requests to change a card, however answered
}

// Fault is a way to misbehave.
type Fault = faults.Fault

// The faults.
const (
	Busy            Fault = "-1"    // errcode -1: system busy
	Conflict        Fault = "6000"  // errcode 6000: data of different versions
	TooOften        Fault = "45009" // errcode 45009: frequency limit
	TooParallel     Fault = "45033" // errcode 45033: concurrency limit
	NoPermission    Fault = "60020" // errcode 60020: the caller's address is not allowed
	ServerError           = faults.ServerError
	TooManyRequests       = faults.TooManyRequests
	Hang                  = faults.Hang
	HalfBody              = faults.HalfBody
	NotJSON               = faults.NotJSON
	ExpiredToken    Fault = "expired"    // errcode 42001, and the token is forgotten
	WrongUser       Fault = "wrong user" // errcode 0 with invaliduser naming the member
)

// Server is the stand-in, an http.Handler. It may be used from several
// goroutines.
type Server struct {
	config Config
	mux    *http.ServeMux

	mu       sync.Mutex
	tokens   map[string]time.Time // token to expiry
	messages []Message            // oldest first
	counts   Counts
	sent     map[string][]time.Time // member to the times of messages
	seen     map[string]time.Time   // request to when it stops being a duplicate
	codes    map[string]*code       // that change a card once
	serial   int                    // of messages, codes and callbacks
	faults.Queue
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in that knows one company.
func New(c Config) *Server {
	if c.TokenLifetime == 0 {
		c.TokenLifetime = 2 * time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Transport == nil {
		c.Transport = &http.Transport{}
	}
	s := &Server{
		config: c, mux: http.NewServeMux(),
		tokens: map[string]time.Time{}, sent: map[string][]time.Time{}, seen: map[string]time.Time{}, codes: map[string]*code{},
	}
	s.mux.HandleFunc("GET /cgi-bin/gettoken", s.gettoken)
	s.mux.HandleFunc("POST /cgi-bin/message/send", s.send)
	s.mux.HandleFunc("POST /cgi-bin/message/update_template_card", s.update)
	s.mux.HandleFunc("POST /cgi-bin/webhook/send", s.robot)
	s.mux.HandleFunc("POST /click", s.click)
	s.mux.HandleFunc("GET /messages", s.list)
	s.mux.HandleFunc("GET /{$}", s.phone)
	return s
}

// ServeHTTP answers the API under /cgi-bin/, the messages as JSON at
// /messages and as a page at /.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Messages returns what arrived, oldest first, the newest 500.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Counts returns what happened besides.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts
}

func (s *Server) nextFault(count func(*Counts)) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	count(&s.counts)
	return s.Next()
}

// answer is what the API says, always in a 200.
type answer struct {
	ErrCode     int    `json:"errcode"`
	ErrMsg      string `json:"errmsg"`
	AccessToken string `json:"access_token,omitempty"`
	ExpiresIn   int    `json:"expires_in,omitempty"`
	InvalidUser string `json:"invaliduser,omitempty"`
	MsgID       string `json:"msgid,omitempty"`
	Code        string `json:"response_code,omitempty"`
}

// problem answers as the provider does, hint and address included.
func (s *Server) problem(code int, message string) answer {
	at := s.config.Now()
	return answer{ErrCode: code, ErrMsg: fmt.Sprintf(
		"%s, hint: [%d], from ip: 203.0.113.9, more info at https://open.work.weixin.qq.com/devtool/query?e=%d", message, at.UnixNano(), code)}
}

func reply(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	// A client that went away is its own affair.
	_ = json.NewEncoder(w).Encode(a)
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) gettoken(w http.ResponseWriter, r *http.Request) {
	id, secret := r.URL.Query().Get("corpid"), r.URL.Query().Get("corpsecret")
	switch {
	case id == "":
		reply(w, s.problem(41002, "corpid missing"))
	case secret == "":
		reply(w, s.problem(41004, "corpsecret missing"))
	case !same(id, s.config.CorpID):
		reply(w, s.problem(40013, "invalid corpid"))
	case !same(secret, s.config.Secret):
		reply(w, s.problem(40001, "invalid credential"))
	default:
		reply(w, answer{ErrMsg: "ok", AccessToken: s.token(), ExpiresIn: int(s.config.TokenLifetime / time.Second)})
	}
}

// token returns the token that is valid, or a new one: asking again does not
// give another before it expires.
func (s *Server) token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Tokens++
	now := s.config.Now()
	for t, expiry := range s.tokens {
		if now.Before(expiry) {
			return t
		}
		delete(s.tokens, t)
	}
	t := rand.Text() + rand.Text()
	s.tokens[t] = now.Add(s.config.TokenLifetime)
	return t
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": s.Messages(), "counts": s.Counts()})
}

func (s *Server) known(member string) bool {
	return len(s.config.Members) == 0 ||
		slices.ContainsFunc(s.config.Members, func(m string) bool { return strings.EqualFold(m, member) })
}
