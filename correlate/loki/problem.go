package loki

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
)

// maxProblem bounds what a page says of a failure, in bytes.
const maxProblem = 240

var errNoSelector = errors.New("its SLO has no logs selector and its alerts name no service")

// problem says in few words why Loki gave nothing, without secrets.
func (s *Source) problem(err error) string {
	var status *statusError
	var netErr net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "loki gave no answer in time"
	case errors.Is(err, context.Canceled):
		return "stopped before loki answered"
	case errors.As(err, &status):
		return s.short("loki answered " + status.status + status.detail())
	case errors.Is(err, errGarbage), errors.Is(err, errTooLarge):
		return "loki: " + firstOf(err, errGarbage, errTooLarge).Error()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "loki broke off in the middle of its answer"
	case errors.As(err, &netErr):
		return s.short("loki is not reachable: " + innermost(err).Error())
	}
	return s.short("loki: " + err.Error())
}

func firstOf(err error, candidates ...error) error {
	for _, c := range candidates {
		if errors.Is(err, c) {
			return c
		}
	}
	return err
}

// innermost returns the cause without the addresses and steps around it.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// detail returns what the answer's body says, after a colon.
func (e *statusError) detail() string {
	if e.html {
		return ""
	}
	text := string(e.body)
	var answer struct{ Error, Message string }
	if json.Unmarshal(e.body, &answer) == nil && answer.Error+answer.Message != "" {
		text = answer.Error + answer.Message
	}
	if text = strings.TrimSpace(text); text == "" {
		return ""
	}
	return ": " + text
}

// short returns a text as one line without secrets.
func (s *Source) short(text string) string {
	password, bearer, err := s.cfg.secrets()
	if err == nil {
		text = bearer.Redact(password.Redact(text))
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) <= maxProblem {
		return text
	}
	end := 0
	for i := range text {
		if i > maxProblem-len("…") {
			break
		}
		end = i
	}
	return text[:end] + "…"
}
