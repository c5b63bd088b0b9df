package wecom

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha1" // the provider signs by it
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of how callbacks are sent.
const (
	callbackTime  = 5 * time.Second // for an answer
	callbackTries = 3
)

// Click presses a button on a card, as the member who has it: the callback is
// sent, again when it is not answered with 200 within five seconds, up to
// three times in all. The error says that there is no such button, or how the
// last try went.
func (s *Server) Click(ctx context.Context, messageID, member, key string) error {
	s.mu.Lock()
	i := slices.IndexFunc(s.messages, func(m Message) bool { return m.ID == messageID && strings.EqualFold(m.To, member) })
	if i < 0 || s.messages[i].Card == nil {
		s.mu.Unlock()
		return fmt.Errorf("click: %s has no card %s", member, messageID)
	}
	card := s.messages[i].Card
	code := s.newCode(card.Task, s.config.Now())
	s.mu.Unlock()
	if !slices.ContainsFunc(card.Buttons, func(b Button) bool { return b.Key == key }) {
		return fmt.Errorf("click: card %s has no button %q", messageID, key)
	}
	return s.callback(ctx, member, "event", fmt.Sprintf(
		"<Event><![CDATA[template_card_event]]></Event><EventKey><![CDATA[%s]]></EventKey><TaskId><![CDATA[%s]]></TaskId>"+
			"<CardType><![CDATA[button_interaction]]></CardType><ResponseCode><![CDATA[%s]]></ResponseCode><SelectedItems></SelectedItems>", key, card.Task, code))
}

// Say sends a text of a member to the application.
func (s *Server) Say(ctx context.Context, member, text string) error {
	s.mu.Lock()
	s.serial++
	id := s.serial
	s.mu.Unlock()
	return s.callback(ctx, member, "text", fmt.Sprintf("<Content><![CDATA[%s]]></Content><MsgId>%d</MsgId>", text, id))
}

func (s *Server) callback(ctx context.Context, member, msgType, rest string) error {
	body := fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName><CreateTime>%d</CreateTime>"+
		"<MsgType><![CDATA[%s]]></MsgType>%s<AgentID>%d</AgentID></xml>", s.config.CorpID, member, s.config.Now().Unix(), msgType, rest, s.config.AgentID)
	var err error
	for range callbackTries {
		if err = s.post(ctx, body); err == nil {
			break
		}
	}
	for range s.config.Repeats {
		err = errors.Join(err, s.post(ctx, body))
	}
	return err
}

// Verify does what the console does when a callback is configured: the
// address must answer with what was encrypted.
func (s *Server) Verify(ctx context.Context) error {
	echo := rand.Text()
	query, encrypted, err := s.Seal(echo)
	if err != nil {
		return err
	}
	query.Set("echostr", encrypted)
	got, err := s.ask(ctx, http.MethodGet, query, nil)
	if err == nil && string(got) != echo {
		err = fmt.Errorf("verify: answered %q", got)
	}
	return err
}

func (s *Server) post(ctx context.Context, message string) error {
	query, encrypted, err := s.Seal(message)
	if err != nil {
		return err
	}
	body := fmt.Sprintf("<xml><ToUserName><![CDATA[%s]]></ToUserName><Encrypt><![CDATA[%s]]></Encrypt><AgentID><![CDATA[%d]]></AgentID></xml>",
		s.config.CorpID, encrypted, s.config.AgentID)
	_, err = s.ask(ctx, http.MethodPost, query, []byte(body))
	return err
}

func (s *Server) ask(ctx context.Context, method string, query url.Values, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callbackTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.config.CallbackURL+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	res, err := (&http.Client{Transport: s.config.Transport}).Do(req)
	if err != nil {
		return nil, fmt.Errorf("callback: %w", err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("callback: HTTP status %d", res.StatusCode)
	}
	return got, err
}

// Seal encrypts a message as the provider does and signs it: the query of the
// callback, without the message, and the message.
func (s *Server) Seal(message string) (query url.Values, encrypted string, err error) {
	key, err := base64.StdEncoding.DecodeString(s.config.CallbackKey + "=")
	if err != nil {
		return nil, "", fmt.Errorf("callback key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, "", fmt.Errorf("callback key: %w", err)
	}
	data := []byte(rand.Text()[:16])
	data = binary.BigEndian.AppendUint32(data, uint32(len(message)))
	data = append(data, message+s.config.CorpID...)
	pad := 32 - len(data)%32
	data = append(data, bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, key[:aes.BlockSize]).CryptBlocks(data, data)
	encrypted = base64.StdEncoding.EncodeToString(data)
	timestamp, nonce := strconv.FormatInt(s.config.Now().Unix(), 10), rand.Text()
	return url.Values{
		"msg_signature": {Sign(s.config.CallbackToken, timestamp, nonce, encrypted)}, "timestamp": {timestamp}, "nonce": {nonce},
	}, encrypted, nil
}

// Sign returns the provider's signature of a callback.
func Sign(token, timestamp, nonce, encrypted string) string {
	parts := []string{token, timestamp, nonce, encrypted}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, "")))
	return hex.EncodeToString(sum[:])
}

// click presses a button for whoever looks at the page.
func (s *Server) click(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := s.Click(r.Context(), r.PostFormValue("id"), r.PostFormValue("to"), r.PostFormValue("key")); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
