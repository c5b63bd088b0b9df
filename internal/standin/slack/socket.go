package slack

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// pingEvery is how often Slack asks whether the other side is there.
const pingEvery = 5 * time.Second

// envelope is what goes over a socket.
type envelope struct {
	Type       string          `json:"type"`
	EnvelopeID string          `json:"envelope_id,omitempty"`
	Payload    json.RawMessage `json:"payload,omitempty"`
	Accepts    bool            `json:"accepts_response_payload,omitempty"`
	Reason     string          `json:"reason,omitempty"`
	Retry      int             `json:"retry_attempt,omitempty"`
}

// socket is one connection of Socket Mode.
type socket struct {
	conn *websocket.Conn

	mu   sync.Mutex // of writes and acks
	acks map[string]chan json.RawMessage
}

// connections answers apps.connections.open, which asks for the token of the
// application, not of its bot.
func (s *Server) connections(r *http.Request, _ url.Values) answer {
	if r.Header.Get("Authorization") != "Bearer "+s.config.AppToken || s.config.AppToken == "" {
		return problem("invalid_auth")
	}
	ticket := rand.Text()
	s.tickets[ticket] = true
	return answer{"ok": true, "url": "ws://" + r.Host + "/socket/" + ticket}
}

// connect opens a socket for a ticket, which is good once.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	ticket := r.PathValue("ticket")
	s.mu.Lock()
	known := s.tickets[ticket]
	delete(s.tickets, ticket)
	s.mu.Unlock()
	if !known {
		http.Error(w, "no such ticket", http.StatusForbidden)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered
	}
	so := &socket{conn: conn, acks: map[string]chan json.RawMessage{}}
	s.hold(so, true)
	defer s.hold(so, false)
	so.serve(r.Context())
}

func (s *Server) hold(so *socket, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.sockets[so] = true
		return
	}
	delete(s.sockets, so)
}

// serve says hello, pings, and reads acknowledgements until the connection
// ends.
func (so *socket) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var pings sync.WaitGroup
	defer func() {
		cancel()
		so.conn.Close()
		pings.Wait()
	}()
	if so.write(envelope{Type: "hello"}) != nil {
		return
	}
	pings.Go(func() { so.ping(ctx) })
	for {
		var ack struct {
			EnvelopeID string          `json:"envelope_id"`
			Payload    json.RawMessage `json:"payload"`
		}
		if so.conn.ReadJSON(&ack) != nil {
			return
		}
		so.mu.Lock()
		if waiting, ok := so.acks[ack.EnvelopeID]; ok {
			waiting <- ack.Payload
			delete(so.acks, ack.EnvelopeID)
		}
		so.mu.Unlock()
	}
}

func (so *socket) ping(ctx context.Context) {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		if so.conn.WriteControl(websocket.PingMessage, []byte("ping"), time.Now().Add(time.Second)) != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (so *socket) write(e envelope) error {
	so.mu.Lock()
	defer so.mu.Unlock()
	return so.conn.WriteJSON(e)
}

// ask sends an envelope and waits for its acknowledgement.
func (so *socket) ask(ctx context.Context, e envelope) (json.RawMessage, error) {
	ack := make(chan json.RawMessage, 1)
	so.mu.Lock()
	so.acks[e.EnvelopeID] = ack
	so.mu.Unlock()
	if err := so.write(e); err != nil {
		return nil, err
	}
	select {
	case payload := <-ack:
		return payload, nil
	case <-ctx.Done():
		return nil, errors.New("no acknowledgement within three seconds")
	}
}

// Sockets returns how many connections of Socket Mode are open.
func (s *Server) Sockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sockets)
}

// Disconnect asks every socket to connect anew, as Slack does when it moves
// them; rudely closes them without a word.
func (s *Server) Disconnect(rudely bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for so := range s.sockets {
		if rudely {
			so.conn.Close()
			continue
		}
		_ = so.write(envelope{Type: "disconnect", Reason: "refresh_requested"})
	}
}

// overSocket sends a payload over one of the sockets, as Slack does, which
// chooses any.
func (s *Server) overSocket(ctx context.Context, kind string, payload []byte) (json.RawMessage, error) {
	s.mu.Lock()
	var any *socket
	for so := range s.sockets {
		any = so
	}
	s.mu.Unlock()
	if any == nil {
		return nil, errors.New("no socket is open")
	}
	return any.ask(ctx, envelope{Type: kind, EnvelopeID: rand.Text(), Payload: payload, Accepts: true})
}
