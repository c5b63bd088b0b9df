package wecom

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a callback.
const (
	maxCallback = 64 << 10 // bytes of a request
	maxDepth    = 8        // elements within each other
	maxElements = 200
	maxID       = 64 // bytes of a user id
)

var encryptedText = regexp.MustCompile(`^[A-Za-z0-9+/]+={0,2}$`)

// encryptedIn finds the encrypted message in a request's body, without a
// parser: nothing is known yet of who sent it.
func encryptedIn(body []byte) (string, bool) {
	_, rest, ok := bytes.Cut(body, []byte("<Encrypt>"))
	text, _, closed := bytes.Cut(rest, []byte("</Encrypt>"))
	if !ok || !closed {
		return "", false
	}
	text = bytes.TrimSpace(text)
	if inner, is := bytes.CutPrefix(text, []byte("<![CDATA[")); is {
		if text, is = bytes.CutSuffix(inner, []byte("]]>")); !is {
			return "", false
		}
	}
	return string(text), encryptedText.Match(text)
}

// event is what a member did: a click on a card, or a message.
type event struct {
	From         string // user id
	Created      string // seconds since 1970, as the provider wrote it
	Type         string // MsgType: event, text and so on
	Event        string
	Key          string // of the button
	Task         string // of the card
	ResponseCode string
	Content      string // of a text
	ID           string // of a message; events have none
	Agent        string
}

// identity is the same for every time the provider repeats an event: it asks
// to tell events apart by who and when
// (https://developer.work.weixin.qq.com/document/path/90238), and a person who
// presses one button twice within a second means it once.
func (e event) identity() string {
	return strings.Join([]string{e.From, e.Created, e.ID, e.Event, e.Key, e.Task}, "\x00")
}

// readEvent reads the message that was in the envelope.
func readEvent(content []byte) (event, error) {
	f, err := fields(content)
	if err != nil {
		return event{}, err
	}
	e := event{
		From: f["FromUserName"], Created: f["CreateTime"], Type: f["MsgType"], Event: f["Event"], Key: f["EventKey"],
		Task: f["TaskId"], ResponseCode: f["ResponseCode"], Content: f["Content"], ID: f["MsgId"], Agent: f["AgentID"],
	}
	if !isMember(e.From) || len(e.From) > maxID || strings.ContainsFunc(e.From, func(r rune) bool { return r < ' ' }) {
		return event{}, errors.New("names no member")
	}
	return e, nil
}

// fields returns the texts of the elements directly below the root. Document
// types, and so entities of one's own, are refused.
func fields(content []byte) (map[string]string, error) {
	if !utf8.Valid(content) {
		return nil, errors.New("not UTF-8")
	}
	d := xml.NewDecoder(bytes.NewReader(content))
	r := reader{of: map[string]string{}}
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return r.of, nil
		}
		if err == nil {
			err = r.take(token)
		}
		if err != nil {
			return nil, fmt.Errorf("not the XML that the provider sends: %w", err)
		}
	}
}

type reader struct {
	of       map[string]string
	name     string
	depth    int
	elements int
}

func (r *reader) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		r.depth++
		if r.elements++; r.depth > maxDepth || r.elements > maxElements {
			return errors.New("too many elements")
		}
		if r.depth == 2 {
			r.name = t.Name.Local
		}
	case xml.EndElement:
		r.depth--
	case xml.CharData:
		if r.depth == 2 {
			r.of[r.name] += string(t)
		}
	case xml.Directive:
		return errors.New("a document type")
	}
	return nil
}

// commands are the words that members write, and what they mean.
func commands() map[string]string {
	return map[string]string{
		"ack": verbAcknowledge, "acknowledge": verbAcknowledge, "认领": verbAcknowledge, "确认": verbAcknowledge,
		"escalate": verbEscalate, "esc": verbEscalate, "升级": verbEscalate,
		"resolve": verbResolve, "关闭": verbResolve, "解决": verbResolve,
	}
}

// parseCommand reads what a member wrote, such as "ack 12" or "认领 #12".
func parseCommand(text string) (order, bool) {
	o := order{Language: languageOf(text)}
	if len(text) > maxID*2 {
		return o, false
	}
	words := strings.Fields(strings.ReplaceAll(text, "#", " "))
	if len(words) == 1 { // 认领12 has no space
		if i := strings.IndexFunc(words[0], func(r rune) bool { return r >= '0' && r <= '9' }); i > 0 {
			words = []string{words[0][:i], words[0][i:]}
		}
	}
	if len(words) != 2 {
		return o, false
	}
	id, err := strconv.ParseInt(words[1], 10, 64)
	o.Verb, o.Incident = commands()[strings.ToLower(words[0])], id
	return o, err == nil && id > 0 && o.Verb != ""
}
