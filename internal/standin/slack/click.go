package slack

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// patience is how long Slack waits for an answer to a click or a command.
const patience = 3 * time.Second

// Click lets a user press the control of a message that has the action id; of
// a menu, choose the option. The error says what the user would see as a
// warning: no answer within three seconds, or none that is a 200.
func (s *Server) Click(ctx context.Context, user string, m Message, actionID, option string) error {
	b, ok := find(m.Blocks, actionID)
	if !ok {
		return fmt.Errorf("the message has no control %q", actionID)
	}
	u, ok := s.user(user)
	if !ok {
		return fmt.Errorf("no user %q", user)
	}
	action := map[string]any{
		"type": b.Type, "action_id": b.ActionID, "block_id": "b1", "value": b.Value,
		"action_ts": fmt.Sprintf("%d.%06d", s.config.Now().Unix(), s.count()),
	}
	if b.Type == "static_select" {
		delete(action, "value")
		action["selected_option"] = map[string]any{"value": option, "text": map[string]any{"type": "plain_text", "text": option}}
	}
	payload := map[string]any{
		"type": "block_actions", "user": map[string]any{"id": u.ID, "username": u.Name, "name": u.Name, "team_id": "T0001"},
		"api_app_id": "A0001", "token": "deprecated", "team": map[string]any{"id": "T0001", "domain": "example"},
		"container":  map[string]any{"type": "message", "message_ts": m.TS, "channel_id": m.Conversation, "is_ephemeral": false},
		"trigger_id": rand.Text(), "channel": map[string]any{"id": m.Conversation, "name": "directmessage"},
		"message":      map[string]any{"type": "message", "ts": m.TS, "text": m.Text},
		"response_url": s.responseURL(), "state": map[string]any{"values": map[string]any{}}, "actions": []any{action},
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	_, err = s.deliver(ctx, "interactive", raw, url.Values{"payload": {string(raw)}})
	return err
}

// Command lets a user type a command such as "/midwatch who", and returns what
// the user alone sees at once.
func (s *Server) Command(ctx context.Context, user, command string) (string, error) {
	u, ok := s.user(user)
	if !ok {
		return "", fmt.Errorf("no user %q", user)
	}
	name, text, _ := strings.Cut(command, " ")
	fields := map[string]string{
		"token": "deprecated", "team_id": "T0001", "team_domain": "example", "channel_id": "C0000001", "channel_name": "general",
		"user_id": u.ID, "user_name": u.Name, "command": name, "text": text, "api_app_id": "A0001",
		"response_url": s.responseURL(), "trigger_id": rand.Text(), "is_enterprise_install": "false",
	}
	form := url.Values{}
	for k, v := range fields {
		form.Set(k, v)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return "", err
	}
	said, err := s.deliver(ctx, "slash_commands", raw, form)
	var shown struct {
		Text string `json:"text"`
	}
	if err == nil && len(said) > 0 {
		err = json.Unmarshal(said, &shown)
	}
	return shown.Text, err
}

func find(blocks []Block, actionID string) (Block, bool) {
	for _, b := range blocks {
		if b.ActionID == actionID {
			return b, true
		}
		within := b.Elements
		if b.Accessory != nil {
			within = append(within, *b.Accessory)
		}
		if found, ok := find(within, actionID); ok {
			return found, true
		}
	}
	return Block{}, false
}

func (s *Server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.next()
}

// deliver takes what a user did to the application.
func (s *Server) deliver(ctx context.Context, kind string, raw []byte, form url.Values) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.config.RequestURL == "" {
		return s.overSocket(ctx, kind, raw)
	}
	body := []byte(form.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.config.RequestURL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = s.Sign(body, s.config.Now())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", res.StatusCode, said)
	}
	return said, err
}

// Sign returns the headers of a request that Slack makes at an instant.
func (s *Server) Sign(body []byte, at time.Time) http.Header {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(s.config.SigningSecret))
	fmt.Fprintf(mac, "v0:%s:%s", timestamp, body)
	return http.Header{
		"Content-Type":              {"application/x-www-form-urlencoded"},
		"X-Slack-Request-Timestamp": {timestamp},
		"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

// responseURL returns a new URL, relative to the stand-in's own, that takes
// answers to one click. Real ones are at hooks.slack.com.
func (s *Server) responseURL() string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.replies[id] = true
	return s.config.ResponseURL + "/response/" + id
}

// respond takes what an application says to who clicked.
func (s *Server) respond(w http.ResponseWriter, r *http.Request) {
	var said struct {
		Text         string `json:"text"`
		ResponseType string `json:"response_type"`
		Replace      bool   `json:"replace_original"`
	}
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&said)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.replies[r.PathValue("id")] {
		err = errors.New("used_url")
	}
	if err != nil || said.Text == "" || said.Replace {
		http.Error(w, "invalid_payload", http.StatusBadRequest)
		return
	}
	text, _ := shown(said.Text)
	s.ephemeral = append(s.ephemeral, text)
	_, _ = io.WriteString(w, "ok")
}
