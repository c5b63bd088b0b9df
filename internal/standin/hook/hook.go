// Package hook stands in for a receiver of webhooks in Alertmanager's format:
// it checks what a careful receiver checks (signature, age, content type,
// version, the members that there must be), tells a call that it has had from
// one that is new, can be told to misbehave, and shows what arrived. It tells
// nobody.
package hook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Bounds of the stand-in.
const (
	maxBody  = 16 << 20
	maxCalls = 10000
	maxAge   = 5 * time.Minute // of a signature
)

// Config says what the receiver expects.
type Config struct {
	Secret string           // of the signature; "" asks for none
	Header http.Header      // that every call must have, such as Authorization
	Now    func() time.Time // default time.Now
}

// Call is a call that was taken.
type Call struct {
	Key       string // of idempotency
	Header    http.Header
	Body      []byte
	Message   Message
	Duplicate bool // its key came before
	Arrived   time.Time
}

// Message is what the receiver reads of a body.
type Message struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   uint64            `json:"truncatedAlerts"`
	Status            string            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []Alert           `json:"alerts"`
	Midwatch          Extension         `json:"midwatch"`
}

// Alert is one alert of a message.
type Alert struct {
	Status       string            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// Extension is what the receiver reads of the member that is Midwatch's own.
type Extension struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	Lead string `json:"lead"`
	Text string `json:"text"`
	To   struct {
		User    string `json:"user"`
		Address string `json:"address"`
	} `json:"to"`
	Incident struct {
		ID     int64  `json:"id"`
		Level  string `json:"level"`
		Status string `json:"status"`
		Drill  bool   `json:"drill"`
	} `json:"incident"`
	Link string `json:"link"`
}

// Fault is a way to misbehave.
type Fault struct {
	Status     int    // instead of 200
	Body       string // of the answer
	RetryAfter string // a header
	Location   string // a header
	Hang       bool   // no answer until the client goes away
	Half       bool   // half of an answer, then nothing
}

// Server is the stand-in, an http.Handler. It may be used from several
// goroutines.
type Server struct {
	config Config

	mu      sync.Mutex
	calls   []Call // oldest first
	seen    map[string]bool
	refused []error // why calls were not taken
	faults  []Fault
}

var _ http.Handler = (*Server)(nil)

// New returns a stand-in.
func New(c Config) *Server {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Server{config: c, seen: map[string]bool{}}
}

// Fail makes the next calls go wrong, one fault each. A fault without a
// status or anything else lets a call pass.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Calls returns the calls that were taken, oldest first, the newest 10,000.
func (s *Server) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Refused returns why calls were not taken.
func (s *Server) Refused() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refused)
}

// ServeHTTP takes a call at any path.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, "request too large", http.StatusRequestEntityTooLarge)
		return
	}
	if s.misbehave(w, r) {
		return
	}
	c, status, err := s.read(r, body)
	s.keep(c, err)
	if err != nil {
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"status":"ok"}`)
}

func (s *Server) fault() (f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) > 0 {
		f, s.faults = s.faults[0], s.faults[1:]
	}
	return f
}

// misbehave answers for a fault that keeps a call from being taken.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request) bool {
	f := s.fault()
	switch {
	case f.Hang:
		<-r.Context().Done()
	case f.Half:
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, `{"status":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case f.Status != 0:
		for name, value := range map[string]string{"Retry-After": f.RetryAfter, "Location": f.Location} {
			if value != "" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, f.Body)
	default:
		return false
	}
	return true
}

func (s *Server) keep(c Call, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.refused = append(s.refused, err)
		return
	}
	c.Duplicate, s.seen[c.Key] = s.seen[c.Key], true
	if s.calls = append(s.calls, c); len(s.calls) > maxCalls {
		s.calls = s.calls[1:]
	}
}

// read checks a call as a careful receiver does: who sent it before what is
// in it.
func (s *Server) read(r *http.Request, body []byte) (c Call, status int, err error) {
	c = Call{Key: r.Header.Get("Idempotency-Key"), Header: r.Header.Clone(), Body: body, Arrived: s.config.Now()}
	for name := range s.config.Header {
		if r.Header.Get(name) != s.config.Header.Get(name) {
			return c, http.StatusUnauthorized, fmt.Errorf("%s is not what it should be", name)
		}
	}
	if err := s.signed(r.Header, body); err != nil {
		return c, http.StatusUnauthorized, err
	}
	switch {
	case r.Method != http.MethodPost:
		return c, http.StatusMethodNotAllowed, errors.New("want POST")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return c, http.StatusUnsupportedMediaType, errors.New("want application/json")
	case c.Key == "":
		return c, http.StatusBadRequest, errors.New("no Idempotency-Key")
	}
	if err := complete(body); err != nil {
		return c, http.StatusBadRequest, err
	}
	if err := json.Unmarshal(body, &c.Message); err != nil {
		return c, http.StatusBadRequest, fmt.Errorf("read message: %w", err)
	}
	return c, http.StatusBadRequest, c.Message.check()
}

func (s *Server) signed(h http.Header, body []byte) error {
	if s.config.Secret == "" {
		return nil
	}
	timestamp := h.Get("X-Midwatch-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return errors.New("no X-Midwatch-Timestamp")
	}
	if age := s.config.Now().Sub(time.Unix(seconds, 0)).Abs(); age > maxAge {
		return fmt.Errorf("signed %s ago", age)
	}
	mac := hmac.New(sha256.New, []byte(s.config.Secret))
	fmt.Fprintf(mac, "%s.%s", timestamp, body)
	if !hmac.Equal([]byte("v1="+hex.EncodeToString(mac.Sum(nil))), []byte(h.Get("X-Midwatch-Signature"))) {
		return errors.New("the signature is wrong")
	}
	return nil
}

// complete tells whether a body has every member of the format, none of them
// null.
func complete(body []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return fmt.Errorf("read message: %w", err)
	}
	for _, name := range []string{
		"version", "groupKey", "truncatedAlerts", "status", "receiver", "groupLabels",
		"commonLabels", "commonAnnotations", "externalURL", "alerts",
	} {
		if v, ok := members[name]; !ok || bytes.Equal(v, []byte("null")) {
			return fmt.Errorf("%s is missing", name)
		}
	}
	return nil
}

func (m Message) check() error {
	if m.Version != "4" {
		return fmt.Errorf("version %q", m.Version)
	}
	status := "resolved"
	for _, a := range m.Alerts {
		if a.Status == "firing" {
			status = "firing"
		}
		if a.Labels == nil || a.Annotations == nil || a.Fingerprint == "" {
			return errors.New("an alert is incomplete")
		}
	}
	if m.Status != status {
		return fmt.Errorf("status %q of alerts that are %s", m.Status, status)
	}
	return nil
}
