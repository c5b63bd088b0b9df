package wecom

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/standin/faults"
)

// request is a request to send something.
type request struct {
	ToUser   string       `json:"touser"`
	MsgType  string       `json:"msgtype"`
	AgentID  int          `json:"agentid"`
	Text     textContent  `json:"text"`
	Markdown textContent  `json:"markdown"`
	Card     templateCard `json:"template_card"`
	Check    int          `json:"enable_duplicate_check"`
	Interval int          `json:"duplicate_check_interval"`
}

type textContent struct {
	Content string   `json:"content"`
	Users   []string `json:"mentioned_list"`
	Mobiles []string `json:"mentioned_mobile_list"`
}

// content is what can be read of it.
func (r request) content() string {
	switch r.MsgType {
	case "markdown":
		return r.Markdown.Content
	case "template_card":
		return r.Card.text()
	}
	return r.Text.Content
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, s.nextFault(func(c *Counts) { c.Sends++ }), s.take)
}

// serve answers a request, well or by a fault.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, fault Fault, take func(token string, body []byte) answer) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	if fault.Answer(w, r) || s.refuse(w, fault) {
		return
	}
	a := take(r.URL.Query().Get("access_token"), body)
	switch fault {
	case HalfBody:
		faults.Half(w, a)
	case WrongUser:
		a.InvalidUser = recipients(body)
		reply(w, a)
	default:
		reply(w, a)
	}
}

// refuse answers for a fault that is an errcode.
func (s *Server) refuse(w http.ResponseWriter, fault Fault) bool {
	switch fault {
	case Busy:
		reply(w, s.problem(-1, "system error"))
	case Conflict:
		reply(w, s.problem(6000, "data version conflict"))
	case TooOften:
		reply(w, s.problem(45009, "api freq out of limit"))
	case TooParallel:
		reply(w, s.problem(45033, "api concurrent out of limit"))
	case NoPermission:
		reply(w, s.problem(60020, "not allow to access from your ip"))
	case ExpiredToken:
		s.ExpireTokens()
		reply(w, s.problem(42001, "access_token expired"))
	default:
		return false
	}
	return true
}

// ExpireTokens makes every token that was given invalid, as the provider may
// do before its time.
func (s *Server) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

func recipients(body []byte) string {
	var r request
	_ = json.Unmarshal(body, &r)
	return strings.ToLower(r.ToUser)
}

// checkToken returns what is wrong with a token.
func (s *Server) checkToken(token string, now time.Time) (answer, bool) {
	expiry, known := s.tokens[token]
	switch {
	case token == "":
		return s.problem(41001, "access_token missing"), false
	case !known:
		return s.problem(40014, "invalid access_token"), false
	case !now.Before(expiry):
		return s.problem(42001, "access_token expired"), false
	}
	return answer{}, true
}

// take does what the provider does with a request.
func (s *Server) take(token string, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	if a, ok := s.checkToken(token, now); !ok {
		return a
	}
	var r request
	if err := json.Unmarshal(body, &r); err != nil {
		return s.problem(40008, "Warning: wrong json format. invalid message type")
	}
	switch {
	case r.MsgType != "text" && r.MsgType != "markdown" && r.MsgType != "template_card":
		return s.problem(40008, "invalid message type")
	case r.AgentID != s.config.AgentID:
		return s.problem(40056, "invalid agentid")
	case r.content() == "":
		return s.problem(44004, "text content is empty")
	case r.ToUser == "":
		return s.problem(40031, "invalid userid list")
	}
	if why := s.checkCard(r); why != "" {
		return s.problem(40058, why+". invalid Request Parameter")
	}
	return s.deliver(r, string(body), now)
}

func (s *Server) deliver(r request, whole string, now time.Time) answer {
	var invalid []string
	reachable := 0
	for member := range strings.SplitSeq(r.ToUser, "|") {
		if s.known(member) {
			reachable++
		} else {
			invalid = append(invalid, strings.ToLower(member))
		}
	}
	if reachable == 0 {
		a := s.problem(81013, "user & party & tag all invalid")
		a.InvalidUser = strings.Join(invalid, "|")
		return a
	}
	s.serial++
	id := strconv.FormatInt(now.UnixNano(), 36) + "-" + strconv.Itoa(s.serial)
	a := answer{ErrMsg: "ok", InvalidUser: strings.Join(invalid, "|"), MsgID: id}
	if r.Check == 1 && s.duplicate(whole, r.Interval, now) {
		s.counts.Duplicates++
		return a
	}
	if r.MsgType == "template_card" {
		a.Code = s.newCode(r.Card.TaskID, now)
	}
	for member := range strings.SplitSeq(r.ToUser, "|") {
		if s.known(member) {
			s.arrive(Message{ID: id, To: strings.ToLower(member), Type: r.MsgType, Text: r.content(), Card: r.Card.shown(r.MsgType), Arrived: now})
		}
	}
	return a
}

// duplicate tells whether the same request came within its interval, in
// seconds, default 1,800 and at most four hours.
func (s *Server) duplicate(request string, interval int, now time.Time) bool {
	for r, until := range s.seen {
		if !now.Before(until) {
			delete(s.seen, r)
		}
	}
	if _, dup := s.seen[request]; dup {
		return true
	}
	if interval <= 0 {
		interval = 1800
	}
	s.seen[request] = now.Add(time.Duration(min(interval, 4*3600)) * time.Second)
	return false
}

func (s *Server) arrive(m Message) {
	if s.tooOften(m.To, PerMinute, m.Arrived) {
		s.counts.Dropped++
		return
	}
	if m.Card == nil && len(m.Text) > MaxText {
		m.Text, m.Cut = strings.ToValidUTF8(m.Text[:MaxText], "\uFFFD"), true
	}
	s.keep(m)
}

func (s *Server) keep(m Message) {
	s.messages = append(s.messages, m)
	if len(s.messages) > maxMessages {
		s.messages = s.messages[len(s.messages)-maxMessages:]
	}
}

func (s *Server) tooOften(whom string, perMinute int, now time.Time) bool {
	var minute int
	kept := s.sent[whom][:0]
	for _, at := range s.sent[whom] {
		if now.Sub(at) < time.Hour {
			kept = append(kept, at)
		}
		if now.Sub(at) < time.Minute {
			minute++
		}
	}
	s.sent[whom] = kept
	if minute >= perMinute || len(kept) >= PerHour {
		return true
	}
	s.sent[whom] = append(kept, now)
	return false
}
