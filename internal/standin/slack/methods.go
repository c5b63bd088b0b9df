package slack

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// answer is what a method says, errors in a 200 too.
type answer map[string]any

func problem(code string, details ...string) answer {
	a := answer{"ok": false, "error": code}
	if len(details) > 0 {
		a["response_metadata"] = map[string]any{"messages": details}
	}
	return a
}

// method does what a method does; the lock is held.
type method func(r *http.Request, form url.Values) answer

func (s *Server) methods() map[string]method {
	return map[string]method{
		"auth.test":             s.bot(s.authTest),
		"chat.postMessage":      s.bot(s.post),
		"chat.update":           s.bot(s.update),
		"conversations.open":    s.bot(s.open),
		"conversations.history": s.bot(s.history),
		"conversations.replies": s.bot(s.history),
		"users.lookupByEmail":   s.bot(s.lookup),
		"users.info":            s.bot(s.info),
		"apps.connections.open": s.connections,
	}
}

// call answers calls of a method, with the fault that is next.
func (s *Server) call(name string, do method) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f := s.fault(name)
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
			return
		}
		if misbehave(w, r, f) {
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			reply(w, problem("invalid_form_data"))
			return
		}
		s.mu.Lock()
		a := do(r, form)
		s.mu.Unlock()
		switch {
		case f.Half:
			half(w, a)
		case f.Lost:
			http.Error(w, "internal error", http.StatusInternalServerError)
		default:
			reply(w, a)
		}
	}
}

func reply(w http.ResponseWriter, a answer) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	// A client that went away is its own affair.
	_ = json.NewEncoder(w).Encode(a)
}

// misbehave answers for a fault that keeps a call from being done.
func misbehave(w http.ResponseWriter, r *http.Request, f Fault) bool {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Error != "":
		reply(w, problem(f.Error))
	case f.Status != 0:
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	case f.Body != "":
		_, _ = io.WriteString(w, f.Body)
	default:
		return false
	}
	return true
}

// half sends the beginning of an answer and closes the connection.
func half(w http.ResponseWriter, a answer) {
	whole, _ := json.Marshal(a)
	w.Header().Set("Content-Length", strconv.Itoa(len(whole)))
	_, _ = w.Write(whole[:len(whole)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// bot lets only the application's bot pass.
func (s *Server) bot(do method) method {
	return func(r *http.Request, form url.Values) answer {
		token := form.Get("token")
		if token == "" {
			token = strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		}
		switch {
		case token == "":
			return problem("not_authed")
		case token != s.config.BotToken:
			return problem("invalid_auth")
		}
		return do(r, form)
	}
}

func (s *Server) authTest(*http.Request, url.Values) answer {
	return answer{"ok": true, "url": "https://example.slack.com/", "team": "Example", "team_id": "T0001", "user": "midwatch", "user_id": "UBOT0001", "bot_id": "B0001"}
}

// where finds the conversation that a message is for.
func (s *Server) where(name string) (id string, problem string) {
	if s.owner(name) != "" {
		return name, ""
	}
	if u, ok := s.user(name); ok {
		if u.Deactivated {
			return "", "channel_not_found"
		}
		return s.directTo(name), ""
	}
	c, ok := s.channel(name)
	switch {
	case !ok:
		return "", "channel_not_found"
	case c.Archived:
		return "", "is_archived"
	case c.Outside:
		return "", "not_in_channel"
	}
	return c.ID, ""
}

func (s *Server) post(_ *http.Request, form url.Values) answer {
	id, why := s.where(form.Get("channel"))
	if why != "" {
		return problem(why)
	}
	m := Message{
		Conversation: id, User: s.owner(id), TS: s.stamp(), Broadcast: form.Get("reply_broadcast") == "true",
		Metadata: form.Get("metadata"), Unfurls: form.Get("unfurl_links") != "false" || form.Get("unfurl_media") != "false",
		Arrived: s.config.Now(),
	}
	// A reply to a message that is gone is a message of its own.
	if thread := form.Get("thread_ts"); s.find(id, thread) >= 0 {
		m.Thread = thread
	}
	if a := m.fill(form); a != nil {
		return a
	}
	if s.messages = append(s.messages, m); len(s.messages) > maxMessages {
		s.messages = s.messages[1:]
	}
	return answer{"ok": true, "channel": id, "ts": m.TS, "message": answer{"ts": m.TS, "text": m.Text, "thread_ts": m.Thread}}
}

// fill reads what a message says. The answer is nil when it may be said.
func (m *Message) fill(form url.Values) answer {
	const maxText = 40000
	text, blocks := form.Get("text"), form.Get("blocks")
	switch {
	case text == "" && (blocks == "" || blocks == "[]"):
		return problem("no_text")
	case utf8.RuneCountInString(text) > maxText:
		return problem("msg_too_long")
	}
	m.Text, m.Mentions = shown(text)
	if blocks == "" {
		return nil
	}
	read, err := readBlocks([]byte(blocks))
	if err != nil {
		return problem("invalid_blocks", "[ERROR] "+err.Error())
	}
	m.Blocks = read
	// Whoever is called in the blocks is called; the text is then a notification.
	m.Mentions = mentions(read)
	return nil
}

func (s *Server) find(conversation, ts string) int {
	for i, m := range s.messages {
		if m.Conversation == conversation && m.TS == ts {
			return i
		}
	}
	return -1
}

// update takes no names of channels, unlike post.
func (s *Server) update(_ *http.Request, form url.Values) answer {
	id := form.Get("channel")
	if c, ok := s.channel(id); (!ok || c.ID != id) && s.owner(id) == "" {
		return problem("channel_not_found")
	}
	i := s.find(id, form.Get("ts"))
	if i < 0 {
		return problem("message_not_found")
	}
	m := s.messages[i]
	called := m.Mentions // a change calls nobody
	if a := m.fill(form); a != nil {
		return a
	}
	m.Edits, m.Mentions = m.Edits+1, called
	s.messages[i] = m
	return answer{"ok": true, "channel": id, "ts": m.TS, "text": m.Text}
}

func (s *Server) open(_ *http.Request, form url.Values) answer {
	u, ok := s.user(form.Get("users"))
	switch {
	case !ok:
		return problem("user_not_found")
	case u.Deactivated:
		return problem("user_disabled")
	}
	return answer{"ok": true, "channel": answer{"id": s.directTo(u.ID)}}
}

func (s *Server) lookup(_ *http.Request, form url.Values) answer {
	for _, u := range s.config.Users {
		if strings.EqualFold(u.Email, form.Get("email")) && !u.Deactivated {
			return answer{"ok": true, "user": person(u)}
		}
	}
	return problem("users_not_found")
}

func (s *Server) info(_ *http.Request, form url.Values) answer {
	u, ok := s.user(form.Get("user"))
	if !ok {
		return problem("user_not_found")
	}
	return answer{"ok": true, "user": person(u)}
}

func person(u User) answer {
	return answer{"id": u.ID, "name": u.Name, "real_name": u.Name, "deleted": u.Deactivated, "profile": answer{"email": u.Email, "real_name": u.Name}}
}

// history answers with the newest messages of a conversation or a thread,
// newest first, with their metadata.
func (s *Server) history(_ *http.Request, form url.Values) answer {
	if s.config.NoHistory {
		return problem("missing_scope")
	}
	id, thread := form.Get("channel"), form.Get("ts")
	if s.owner(id) == "" {
		if c, ok := s.channel(id); !ok || c.ID != id {
			return problem("channel_not_found")
		}
	}
	found := []answer{}
	for i := len(s.messages) - 1; i >= 0 && len(found) < 100; i-- {
		m := s.messages[i]
		if m.Conversation != id || m.TS < form.Get("oldest") || (thread != "" && m.Thread != thread && m.TS != thread) ||
			(thread == "" && m.Thread != "" && !m.Broadcast) {
			continue
		}
		a := answer{"type": "message", "ts": m.TS, "text": m.Text, "thread_ts": m.Thread}
		if m.Metadata != "" && form.Get("include_all_metadata") != "" {
			a["metadata"] = json.RawMessage(m.Metadata)
		}
		found = append(found, a)
	}
	return answer{"ok": true, "messages": found}
}
