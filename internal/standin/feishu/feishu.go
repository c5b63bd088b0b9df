// Package feishu stands in for Feishu's custom robots where there is no
// Feishu: it checks tokens, signatures, keywords, sizes and rates, answers as
// the provider does, can be told to misbehave, and shows what arrived in the
// group.
//
// The behaviour follows the provider's documentation of custom robots
// (https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot).
package feishu

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
	"github.com/midwatch-slo/midwatch/internal/standin/group"
)

// The provider's limits.
const (
	MaxBody   = 20 << 10 // bytes of a request; what is longer is refused
	PerSecond = 5        // messages; what is more is refused
	PerMinute = 100
)

// Config describes the robot that the stand-in knows.
type Config struct {
	Token   string
	Secret  string           // to sign by; "": signatures are not asked for
	Keyword string           // that every message must have; "": none
	Now     func() time.Time // default time.Now
}

// Message is one message that reached the group.
type Message struct {
	Type    string    `json:"type"` // text or interactive
	Title   string    `json:"title,omitempty"`
	Color   string    `json:"color,omitempty"`
	Text    string    `json:"text"`
	Links   []Link    `json:"links,omitempty"`  // the buttons
	Called  []string  `json:"called,omitempty"` // who was mentioned
	Arrived time.Time `json:"arrived"`
}

// Link is a button of a card.
type Link struct {
	Text string `json:"text"`
	URL  string `json:"url"`
}

// The faults that are Feishu's own.
const (
	TooOften   faults.Fault = "11232"    // code 11232 in an HTTP 400
	TooMany    faults.Fault = "too many" // code 9499 in a 200, for a rate
	BadRequest faults.Fault = "9499"     // code 9499 in an HTTP 400, for the request
	Forbidden  faults.Fault = "19022"    // code 19022: the address is not allowed
)

// Server is the stand-in, an http.Handler. It may be used from several
// goroutines.
type Server struct {
	*group.Group[Message]
	config Config
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in that knows one robot.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	s := &Server{config: c}
	s.Group = group.New[Message]("POST /open-apis/bot/v2/hook/{token}", s.send)
	return s
}

// answer is what the API says.
type answer struct {
	status int
	Code   int            `json:"code"`
	Msg    string         `json:"msg"`
	Data   map[string]any `json:"data"`
}

func problem(status, code int, message string) answer {
	return answer{status, code, message, map[string]any{}}
}

func reply(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	// A client that went away is its own affair.
	_ = json.NewEncoder(w).Encode(a)
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	fault, body, ok := s.Receive(w, r)
	if !ok {
		return
	}
	switch fault {
	case TooOften:
		reply(w, problem(http.StatusBadRequest, 11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]"))
	case TooMany:
		reply(w, problem(http.StatusOK, 9499, "too many request"))
	case BadRequest:
		reply(w, problem(http.StatusBadRequest, 9499, "Bad Request"))
	case Forbidden:
		reply(w, problem(http.StatusOK, 19022, "Ip Not Allowed"))
	case faults.HalfBody:
		faults.Half(w, s.take(r.PathValue("token"), body))
	default:
		reply(w, s.take(r.PathValue("token"), body))
	}
}

// request is a message as it is sent.
type request struct {
	Timestamp string `json:"timestamp"`
	Sign      string `json:"sign"`
	MsgType   string `json:"msg_type"`
	Content   struct {
		Text string `json:"text"`
	} `json:"content"`
	Card struct {
		Header struct {
			Title    content `json:"title"`
			Template string  `json:"template"`
		} `json:"header"`
		Elements []struct {
			Tag     string `json:"tag"`
			Content string `json:"content"`
			Actions []struct {
				Text content `json:"text"`
				URL  string  `json:"url"`
			} `json:"actions"`
		} `json:"elements"`
	} `json:"card"`
}

type content struct {
	Content string `json:"content"`
}

func (s *Server) take(token string, body []byte) answer {
	var q request
	err := json.Unmarshal(body, &q)
	m := q.message()
	switch {
	case token != s.config.Token:
		return problem(http.StatusBadRequest, 19001, "param invalid: incoming webhook access token invalid")
	case len(body) > MaxBody || err != nil:
		return problem(http.StatusBadRequest, 9499, "Bad Request")
	case q.MsgType != "text" && q.MsgType != "interactive":
		return problem(http.StatusBadRequest, 19002, "params error, msg_type need")
	case m.Text == "":
		return problem(http.StatusBadRequest, 9499, "Bad Request")
	case !s.signed(q):
		return problem(http.StatusOK, 19021, "sign match fail or timestamp is not within one hour from current time")
	case !strings.Contains(m.Title+m.Text, s.config.Keyword):
		return problem(http.StatusOK, 19024, "Key Words Not Found")
	}
	m.Arrived = s.config.Now()
	if !s.Arrive(m, m.Arrived, group.Limit{Messages: PerSecond, Per: time.Second}, group.Limit{Messages: PerMinute, Per: time.Minute}) {
		return problem(http.StatusOK, 9499, "too many request")
	}
	return problem(http.StatusOK, 0, "success")
}

// signed checks the signature, which is of the last hour.
func (s *Server) signed(q request) bool {
	if s.config.Secret == "" {
		return true
	}
	seconds, err := strconv.ParseInt(q.Timestamp, 10, 64)
	want := hmac.New(sha256.New, []byte(q.Timestamp+"\n"+s.config.Secret)).Sum(nil)
	got, bad := base64.StdEncoding.DecodeString(q.Sign)
	return err == nil && bad == nil && s.config.Now().Sub(time.Unix(seconds, 0)).Abs() < time.Hour && hmac.Equal(got, want)
}

var mention = regexp.MustCompile(`<at (?:user_)?id="?([^">]+)"?></at>`)

func (q request) message() Message {
	m := Message{Type: q.MsgType, Title: q.Card.Header.Title.Content, Color: q.Card.Header.Template, Text: q.Content.Text}
	for _, e := range q.Card.Elements {
		m.Text += e.Content
		for _, a := range e.Actions {
			m.Links = append(m.Links, Link{a.Text.Content, a.URL})
		}
	}
	for _, name := range mention.FindAllStringSubmatch(m.Text, -1) {
		m.Called = append(m.Called, name[1])
	}
	return m
}
