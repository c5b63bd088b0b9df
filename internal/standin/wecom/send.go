package wecom

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// text is a request to send a text.
type text struct {
	ToUser  string `json:"touser"`
	MsgType string `json:"msgtype"`
	AgentID int    `json:"agentid"`
	Text    struct {
		Content string `json:"content"`
	} `json:"text"`
	Check    int `json:"enable_duplicate_check"`
	Interval int `json:"duplicate_check_interval"`
}

func (s *Server) send(w http.ResponseWriter, r *http.Request) {
	fault := s.nextFault()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	if s.misbehave(w, r, fault) {
		return
	}
	a := s.take(r.URL.Query().Get("access_token"), body)
	switch fault {
	case HalfBody:
		half(w, a)
	case WrongUser:
		a.InvalidUser = recipients(body)
		reply(w, a)
	default:
		reply(w, a)
	}
}

// misbehave answers for a fault that keeps the message from arriving.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, fault Fault) bool {
	switch fault {
	case Busy:
		reply(w, s.problem(-1, "system error"))
	case TooOften:
		reply(w, s.problem(45009, "api freq out of limit"))
	case TooParallel:
		reply(w, s.problem(45033, "api concurrent out of limit"))
	case NoPermission:
		reply(w, s.problem(60020, "not allow to access from your ip"))
	case ServerError:
		http.Error(w, "internal error", http.StatusInternalServerError)
	case TooManyRequests:
		w.Header().Set("Retry-After", "7")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	case Hang:
		<-r.Context().Done()
	case NotJSON:
		_, _ = io.WriteString(w, "<html><title>Gateway</title></html>")
	case ExpiredToken:
		s.ExpireTokens()
		reply(w, s.problem(42001, "access_token expired"))
	case HalfBody, WrongUser:
		return false
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

// half sends the beginning of an answer and closes the connection.
func half(w http.ResponseWriter, a answer) {
	whole, _ := json.Marshal(a)
	w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
	_, _ = w.Write(whole[:len(whole)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func recipients(body []byte) string {
	var t text
	_ = json.Unmarshal(body, &t)
	return strings.ToLower(t.ToUser)
}

// take does what the provider does with a request.
func (s *Server) take(token string, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	expiry, known := s.tokens[token]
	switch {
	case token == "":
		return s.problem(41001, "access_token missing")
	case !known:
		return s.problem(40014, "invalid access_token")
	case !now.Before(expiry):
		return s.problem(42001, "access_token expired")
	}
	var t text
	if err := json.Unmarshal(body, &t); err != nil {
		return s.problem(40008, "Warning: wrong json format. invalid message type")
	}
	switch {
	case t.MsgType != "text":
		return s.problem(40008, "invalid message type")
	case t.AgentID != s.config.AgentID:
		return s.problem(40056, "invalid agentid")
	case t.Text.Content == "":
		return s.problem(44004, "text content is empty")
	case t.ToUser == "":
		return s.problem(40031, "invalid userid list")
	}
	return s.deliver(t, string(body), now)
}

func (s *Server) deliver(t text, request string, now time.Time) answer {
	var invalid []string
	reachable := 0
	for member := range strings.SplitSeq(t.ToUser, "|") {
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
	id := strconv.FormatInt(now.UnixNano(), 36) + "-" + strconv.Itoa(s.counts.Sends)
	a := answer{ErrMsg: "ok", InvalidUser: strings.Join(invalid, "|"), MsgID: id}
	if t.Check == 1 && s.duplicate(request, t.Interval, now) {
		s.counts.Duplicates++
		return a
	}
	for member := range strings.SplitSeq(t.ToUser, "|") {
		if s.known(member) {
			s.arrive(id, member, t.Text.Content, now)
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

func (s *Server) arrive(id, member, content string, now time.Time) {
	member = strings.ToLower(member)
	if s.tooOften(member, now) {
		s.counts.Dropped++
		return
	}
	m := Message{ID: id, To: member, Text: content, Arrived: now}
	if len(content) > MaxText {
		m.Text, m.Cut = strings.ToValidUTF8(content[:MaxText], "\uFFFD"), true
	}
	s.messages = append(s.messages, m)
	if len(s.messages) > maxMessages {
		s.messages = s.messages[len(s.messages)-maxMessages:]
	}
}

func (s *Server) tooOften(member string, now time.Time) bool {
	var minute int
	kept := s.sent[member][:0]
	for _, at := range s.sent[member] {
		if now.Sub(at) < time.Hour {
			kept = append(kept, at)
		}
		if now.Sub(at) < time.Minute {
			minute++
		}
	}
	s.sent[member] = kept
	if minute >= PerMinute || len(kept) >= PerHour {
		return true
	}
	s.sent[member] = append(kept, now)
	return false
}
