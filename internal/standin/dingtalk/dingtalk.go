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
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
	"github.com/midwatch-slo/midwatch/internal/standin/group"
)

// The provider's limits.
const (
	MaxBody   = 20_000 // bytes of a message; what is longer is refused
	PerMinute = 20     // messages; whoever sends more is silenced for Silence
	Silence   = 10 * time.Minute
)

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
	*group.Group[Message]
	config Config

	mu       sync.Mutex
	silenced time.Time // until then
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in that knows one robot.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{config: c}
	s.Group = group.New[Message]("POST /robot/send", s.send)
	return s
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
	fault, body, ok := s.Receive(w, r)
	if !ok {
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
	m := Message{Type: q.MsgType, Title: q.Markdown.Title, Text: text, All: q.At.All, Arrived: now}
	for _, name := range append(q.At.Mobiles, q.At.Users...) {
		if strings.Contains(text, "@"+name) {
			m.Called = append(m.Called, name)
		}
	}
	if now.Before(s.silenced) {
		return answer{410100, "send too fast"}
	}
	if !s.Arrive(m, now, group.Limit{Messages: PerMinute, Per: time.Minute}) {
		s.silenced = now.Add(Silence)
		return answer{410100, "send too fast"}
	}
	return answer{0, "ok"}
}
