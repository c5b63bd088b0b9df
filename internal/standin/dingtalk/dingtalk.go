// Package dingtalk stands in for DingTalk's custom robots where there is no
// DingTalk: it checks tokens, signatures, keywords, sizes and rates, answers
// errcodes inside a 200 as the provider does, can be told to misbehave, and
// shows what arrived in the group.
//
// The behaviour follows the provider's documentation of custom robots
// (https://open.dingtalk.com/document/orgapp/custom-robot-access).
package dingtalk

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
)

// The provider's limits.
const (
	MaxBody   = 20_000 // bytes of a message; what is longer is refused
	PerMinute = 20     // messages; whoever sends more is silenced for Silence
	Silence   = 10 * time.Minute
)

const maxMessages = 500

// Config describes the robot that the stand-in knows.
type Config struct {
	AccessToken string
	Secret      string           // to sign by; "": signatures are not asked for
	Keyword     string           // that every message must have; "": none
	Now         func() time.Time // default time.Now
}

// Message is one message that reached the group.
type Message struct {
	Type    string    `json:"type"`
	Title   string    `json:"title,omitempty"`
	Text    string    `json:"text"`
	Called  []string  `json:"called,omitempty"` // who was mentioned: they are in the text, too
	All     bool      `json:"all,omitempty"`    // everybody was
	Arrived time.Time `json:"arrived"`
}

// Counts tell what happened besides messages that arrived.
type Counts struct {
	Sends   int `json:"sends"`   // requests, however answered
	Limited int `json:"limited"` // refused for their rate
}

// The faults that are DingTalk's own.
const (
	Busy     faults.Fault = "-1"     // errcode -1: system busy
	TooOften faults.Fault = "410100" // errcode 410100: silenced
	Disabled faults.Fault = "400102" // errcode 400102: the robot is disabled
	Unsafe   faults.Fault = "430101" // errcode 430101: a link that is not let through
)

// Server is the stand-in, an http.Handler. It may be used from several
// goroutines.
type Server struct {
	config Config
	mux    *http.ServeMux
	faults.Queue

	mu       sync.Mutex
	messages []Message // oldest first
	counts   Counts
	sent     []time.Time
	silenced time.Time // until then
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in that knows one robot.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{config: c, mux: http.NewServeMux()}
	s.mux.HandleFunc("POST /robot/send", s.send)
	s.mux.HandleFunc("GET /messages", s.list)
	return s
}

// ServeHTTP answers the API under /robot/, and the messages as JSON at
// /messages.
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

// answer is what the API says, always in a 200.
type answer struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
}

func reply(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// A client that went away is its own affair.
	_ = json.NewEncoder(w).Encode(a)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	fault := s.Next()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	s.mu.Lock()
	s.counts.Sends++
	s.mu.Unlock()
	if fault.Answer(w, r) {
		return
	}
	switch fault {
	case Busy:
		reply(w, answer{-1, "system busy"})
	case TooOften:
		reply(w, answer{410100, "send too fast"})
	case Disabled:
		reply(w, answer{400102, "robot is disabled"})
	case Unsafe:
		reply(w, answer{430101, "unsafe outside link"})
	case faults.HalfBody:
		faults.Half(w, s.take(r, body))
	default:
		reply(w, s.take(r, body))
	}
}

// request is a message as it is sent.
type request struct {
	MsgType  string `json:"msgtype"`
	Markdown struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	} `json:"markdown"`
	Text struct {
		Content string `json:"content"`
	} `json:"text"`
	At struct {
		Mobiles []string `json:"atMobiles"`
		Users   []string `json:"atUserIds"`
		All     bool     `json:"isAtAll"`
	} `json:"at"`
}

func (s *Server) take(r *http.Request, body []byte) answer {
	var q request
	err := json.Unmarshal(body, &q)
	text := q.Markdown.Text + q.Text.Content
	switch {
	case r.URL.Query().Get("access_token") != s.config.AccessToken:
		return answer{400101, "token is not exist"}
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return answer{43004, "invalid http header content-type"}
	case len(body) > MaxBody:
		return answer{460101, "message too long, exceed 20000 bytes"}
	case err != nil || q.MsgType == "markdown" && q.Markdown.Title == "" || text == "":
		return answer{40035, "invalid parameter"}
	case q.MsgType != "markdown" && q.MsgType != "text":
		return answer{400105, "unsupported msgtype"}
	case !s.signed(r):
		return answer{310000, "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]"}
	case !strings.Contains(q.Markdown.Title+text, s.config.Keyword):
		return answer{310000, "keywords not in content"}
	}
	return s.arrive(q, text)
}

// signed checks the signature, which is of the last hour.
func (s *Server) signed(r *http.Request) bool {
	if s.config.Secret == "" {
		return true
	}
	timestamp := r.URL.Query().Get("timestamp")
	millis, err := strconv.ParseInt(timestamp, 10, 64)
	mac := hmac.New(sha256.New, []byte(s.config.Secret))
	mac.Write([]byte(timestamp + "\n" + s.config.Secret))
	got, bad := base64.StdEncoding.DecodeString(r.URL.Query().Get("sign"))
	return err == nil && bad == nil && s.config.Now().Sub(time.UnixMilli(millis)).Abs() < time.Hour && hmac.Equal(got, mac.Sum(nil))
}

func (s *Server) arrive(q request, text string) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	s.sent = slices.DeleteFunc(s.sent, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	if len(s.sent) >= PerMinute {
		s.silenced = now.Add(Silence)
	}
	if now.Before(s.silenced) {
		s.counts.Limited++
		return answer{410100, "send too fast"}
	}
	s.sent = append(s.sent, now)
	m := Message{Type: q.MsgType, Title: q.Markdown.Title, Text: text, All: q.At.All, Arrived: now}
	for _, name := range append(q.At.Mobiles, q.At.Users...) {
		if strings.Contains(text, "@"+name) {
			m.Called = append(m.Called, name)
		}
	}
	s.messages = append(s.messages, m)
	s.messages = s.messages[max(0, len(s.messages)-maxMessages):]
	return answer{0, "ok"}
}

func (s *Server) list(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"messages": s.Messages(), "counts": s.Counts()})
}
