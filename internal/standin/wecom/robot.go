package wecom

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var mention = regexp.MustCompile(`<@([^<>]+)>`)

func (s *Server) robot(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	fault := s.nextFault(func(c *Counts) { c.Sends++ })
	s.serve(w, r, fault, func(_ string, body []byte) answer { return s.say(key, body) })
}

// say does what the provider does with a message of a robot.
func (s *Server) say(key string, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var r request
	switch err := json.Unmarshal(body, &r); {
	case !slices.Contains(s.config.Robots, key):
		return s.problem(93000, "invalid webhook url")
	case err != nil:
		return s.problem(40008, "Warning: wrong json format")
	case r.MsgType != "text" && r.MsgType != "markdown":
		return s.problem(40008, "invalid message type")
	case r.content() == "":
		return s.problem(44004, "content is empty")
	case r.MsgType == "markdown" && len(r.Markdown.Content) > MaxRobotMarkdown:
		return s.problem(40058, "markdown.content exceed max length 4096. invalid Request Parameter")
	case r.MsgType == "text" && len(r.Text.Content) > MaxText:
		return s.problem(40058, "text.content exceed max length 2048. invalid Request Parameter")
	}
	if now := s.config.Now(); s.tooOften("robot "+key, RobotPerMinute, now) {
		s.counts.Dropped++
	} else {
		s.serial++
		s.keep(Message{ID: strconv.Itoa(s.serial), To: key, Type: r.MsgType, Text: r.content(), Mentioned: r.mentioned(), Arrived: now})
	}
	return answer{ErrMsg: "ok"}
}

// mentioned is whom a robot's message calls, in its content too.
func (r request) mentioned() (all []string) {
	for _, m := range mention.FindAllStringSubmatch(r.content(), -1) {
		all = append(all, m[1])
	}
	if r.MsgType == "text" {
		all = append(all, r.Text.Users...)
		for _, m := range r.Text.Mobiles {
			all = append(all, "mobile:"+strings.TrimSpace(m))
		}
	}
	return all
}
