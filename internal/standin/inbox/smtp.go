package inbox

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// maxHeld bounds the bytes of all mails together.
const maxHeld = 64 << 20

// Config says what the server asks for. The zero Config takes mail from
// everybody for everybody.
type Config struct {
	Username, Password string                                // both "": no authentication
	TLS                *tls.Config                           // nil: no STARTTLS
	Recipients         []string                              // addresses, case does not matter; none: every address is known
	LookupTXT          func(domain string) ([]string, error) // the keys of DKIM; nil: signatures are not looked at
	MaxMessages        int                                   // kept, the newest; default 200
	MaxBytes           int                                   // of one mail, larger ones are refused; default 2 MiB
	Logger             *slog.Logger                          // default: none
	Now                func() time.Time                      // default time.Now
}

func (c *Config) defaults() {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxMessages <= 0 {
		c.MaxMessages = 200
	}
	if c.MaxBytes <= 0 {
		c.MaxBytes = 2 << 20
	}
}

// Fault is a way to misbehave in one dialogue.
type Fault string

// The faults.
const (
	Busy        Fault = "421"     // 421 to MAIL
	Greylisted  Fault = "450"     // 450 to RCPT
	Rejected    Fault = "554"     // 554 to the content
	Full        Fault = "452"     // 452 to the content
	Hang        Fault = "hang"    // no answer to the content until the client goes away
	Cut         Fault = "cut"     // the mail arrives, the connection ends without an answer
	HangAtStart Fault = "silence" // no answer to MAIL until the client goes away
	Drop        Fault = "drop"    // the connection ends in place of an answer, and nothing arrives
	CutAfter    Fault = "reset"   // the mail arrives and is answered, then the connection ends
)

// Server is the stand-in: SMTP by Serve, the page by ServeHTTP. It may be
// used from several goroutines.
type Server struct {
	config Config
	smtp   *smtp.Server
	mux    *http.ServeMux
	closed chan struct{}

	mu        sync.Mutex
	listeners []net.Listener
	messages  []Message // oldest first
	held      int       // bytes of messages
	last      int       // number of the newest mail
	faults    []Fault
	faultsTo  map[string]Fault // of one mailbox, until Heal
}

var _ http.Handler = (*Server)(nil)

// New returns a server that is not listening yet.
func New(c Config) *Server {
	c.defaults()
	s := &Server{config: c, closed: make(chan struct{})}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.Domain = "inbox.localhost"
	s.smtp.MaxMessageBytes = int64(c.MaxBytes)
	s.smtp.MaxRecipients = 50
	s.smtp.ReadTimeout, s.smtp.WriteTimeout = time.Minute, time.Minute
	s.smtp.TLSConfig = c.TLS
	s.smtp.AllowInsecureAuth = c.TLS == nil
	s.smtp.EnableSMTPUTF8 = true
	s.smtp.ErrorLog = errorLog{c.Logger}
	s.routes()
	return s
}

// Serve answers SMTP on l until Close; then it returns nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.mu.Lock()
	s.listeners = append(s.listeners, l)
	s.mu.Unlock()
	if s.isClosed() {
		return l.Close()
	}
	if err := s.smtp.Serve(l); err != nil && !s.isClosed() {
		return fmt.Errorf("serve mail: %w", err)
	}
	return nil
}

func (s *Server) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// Close ends all dialogues and stops listening. What arrived stays readable.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed() {
		return nil
	}
	close(s.closed)
	for _, l := range s.listeners {
		l.Close()
	}
	if err := s.smtp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close mail server: %w", err)
	}
	return nil
}

// Fail makes the next dialogues misbehave, one fault each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// FailTo makes every mail to a mailbox misbehave until Heal.
func (s *Server) FailTo(mailbox string, f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.faultsTo == nil {
		s.faultsTo = map[string]Fault{}
	}
	s.faultsTo[strings.ToLower(mailbox)] = f
}

// Heal takes away the faults that have not had their turn, and those of
// mailboxes.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults, s.faultsTo = nil, nil
}

func (s *Server) faultTo(mailbox string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faultsTo[strings.ToLower(mailbox)]
}

// Pending returns how many faults have not had their turn.
func (s *Server) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.faults)
}

func (s *Server) nextFault() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return ""
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return f
}

// Messages returns what arrived, newest last, as many as are kept.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// arrive keeps a mail and lets the oldest go when there are too many.
func (s *Server) arrive(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	m.ID, m.Arrived = s.last, s.config.Now()
	s.messages = append(s.messages, m)
	s.held += m.RawSize
	for len(s.messages) > s.config.MaxMessages || s.held > maxHeld {
		s.held -= s.messages[0].RawSize
		s.messages = slices.Delete(s.messages, 0, 1)
	}
	s.config.Logger.Info("mail arrived", "id", m.ID, "bytes", m.RawSize)
}

// session is one dialogue.
type session struct {
	server   *Server
	conn     *smtp.Conn
	fault    Fault
	loggedIn bool
	from     string
	to       []string
}

var _ smtp.AuthSession = (*session)(nil)

func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c, loggedIn: s.config.Username == ""}, nil
}

// AuthMechanisms offers PLAIN when a user name is asked for.
func (d *session) AuthMechanisms() []string {
	if d.server.config.Username == "" {
		return nil
	}
	return []string{sasl.Plain}
}

// Auth checks the user name and the password.
func (d *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(d.AuthMechanisms(), mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return sasl.NewPlainServer(func(_, username, password string) error {
		c := d.server.config
		if subtle.ConstantTimeCompare([]byte(username+"\x00"+password), []byte(c.Username+"\x00"+c.Password)) != 1 {
			return smtp.ErrAuthFailed
		}
		d.loggedIn = true
		return nil
	}), nil
}

// Mail begins a mail, and draws the dialogue's fault.
func (d *session) Mail(from string, _ *smtp.MailOptions) error {
	if !d.loggedIn {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "sign in first"}
	}
	d.fault = d.server.nextFault()
	d.from = from
	switch d.fault {
	case Busy:
		return &smtp.SMTPError{Code: 421, EnhancedCode: smtp.EnhancedCode{4, 3, 2}, Message: "service not available, closing channel"}
	case HangAtStart:
		return d.hang()
	default:
		return nil
	}
}

// Rcpt takes the mailboxes that there are.
func (d *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if f := d.server.faultTo(to); f != "" {
		d.fault = f
	}
	if d.fault == Greylisted {
		return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 2, 0}, Message: "greylisted, try again later"}
	}
	if len(d.server.config.Recipients) > 0 && !slices.ContainsFunc(d.server.config.Recipients, func(m string) bool { return strings.EqualFold(m, to) }) {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox here"}
	}
	d.to = append(d.to, to)
	return nil
}

// Data takes the mail.
func (d *session) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	switch d.fault {
	case Rejected:
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "rejected by policy"}
	case Full:
		return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 3, 1}, Message: "insufficient system storage"}
	case Hang:
		return d.hang()
	case Drop:
		d.conn.Conn().Close()
		return errors.New("dropped as told")
	default:
	}
	m := parse(d.from, d.to, content)
	m.Signatures = d.server.signatures(content)
	d.server.arrive(m)
	switch d.fault {
	case Cut:
		d.conn.Conn().Close()
	case CutAfter:
		// Its answer is written here, since the connection is gone once this returns.
		_, _ = io.WriteString(d.conn.Conn(), "250 2.0.0 taken\r\n")
		d.conn.Conn().Close()
	default:
	}
	return nil
}

// signatures verifies a mail's DKIM signatures.
func (s *Server) signatures(content []byte) (found []Signature) {
	if s.config.LookupTXT == nil {
		return nil
	}
	const most = 5
	verified, err := dkim.VerifyWithOptions(bytes.NewReader(content), &dkim.VerifyOptions{LookupTXT: s.config.LookupTXT, MaxVerifications: most})
	for _, v := range verified {
		one := Signature{Domain: valid(v.Domain)}
		if v.Err != nil {
			one.Problem = valid(v.Err.Error())
		}
		found = append(found, one)
	}
	if err != nil {
		found = append(found, Signature{Problem: valid(err.Error())})
	}
	return found
}

// hang waits until the client goes away, which reading tells: it has nothing
// to say before it is answered.
func (d *session) hang() error {
	conn := d.conn.Conn()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-d.server.closed:
			_ = conn.Close()
		case <-stop:
		}
	}()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = conn.Read(make([]byte, 1))
	_ = conn.Close()
	return errors.New("the client went away")
}

// Reset forgets a mail that was begun.
func (d *session) Reset() { d.from, d.to = "", nil }

// Logout ends the dialogue.
func (d *session) Logout() error { return nil }

// errorLog lets the SMTP library log what it could not do.
type errorLog struct{ logger *slog.Logger }

// Printf logs a dialogue that ended with an error.
func (l errorLog) Printf(format string, v ...any) {
	l.logger.Debug("smtp dialogue ended", "err", fmt.Sprintf(format, v...))
}

// Println logs a dialogue that ended with an error.
func (l errorLog) Println(v ...any) {
	l.logger.Debug("smtp dialogue ended", "err", strings.TrimSpace(fmt.Sprintln(v...)))
}
