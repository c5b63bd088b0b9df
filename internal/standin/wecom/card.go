package wecom

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Card is a card as its reader sees it now.
type Card struct {
	Task     string   `json:"task"`
	Title    string   `json:"title"`
	Desc     string   `json:"desc,omitempty"`
	Buttons  []Button `json:"buttons,omitempty"`  // that can be pressed
	Replaced string   `json:"replaced,omitempty"` // what is in the buttons' place
}

// Button is what a reader can press.
type Button struct {
	Text string `json:"text"`
	Key  string `json:"key"`
}

// templateCard is a card as it is sent.
type templateCard struct {
	Type      string `json:"card_type"`
	MainTitle struct {
		Title string `json:"title"`
		Desc  string `json:"desc"`
	} `json:"main_title"`
	Quote struct {
		Title string `json:"title"`
		Text  string `json:"quote_text"`
	} `json:"quote_area"`
	SubTitle string `json:"sub_title_text"`
	Rows     []struct {
		Key   string `json:"keyname"`
		Value string `json:"value"`
		URL   string `json:"url"`
	} `json:"horizontal_content_list"`
	Action struct {
		URL string `json:"url"`
	} `json:"card_action"`
	TaskID  string   `json:"task_id"`
	Buttons []Button `json:"button_list"`
}

// text is what can be read on a card, line by line, with its links.
func (c templateCard) text() string {
	lines := []string{c.MainTitle.Title, c.MainTitle.Desc, c.SubTitle, c.Quote.Title, c.Quote.Text}
	for _, r := range c.Rows {
		lines = append(lines, strings.TrimSpace(r.Key+": "+r.Value+" "+r.URL))
	}
	lines = append(lines, c.Action.URL)
	var b strings.Builder
	for _, l := range lines {
		if l != "" {
			b.WriteString(l + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (c templateCard) shown(msgType string) *Card {
	if msgType != "template_card" {
		return nil
	}
	return &Card{Task: c.TaskID, Title: c.MainTitle.Title, Desc: c.MainTitle.Desc, Buttons: c.Buttons}
}

var taskID = regexp.MustCompile(`^[0-9A-Za-z_@-]{1,128}$`)

// checkCard returns why the provider refuses a card.
func (s *Server) checkCard(r request) string {
	if r.MsgType != "template_card" {
		return ""
	}
	switch c := r.Card; {
	case s.config.CallbackURL == "":
		return "the application has no callback url"
	case c.Type != "button_interaction":
		return "template_card.card_type invalid"
	case c.MainTitle.Title == "" && c.SubTitle == "":
		return "template_card.main_title missing"
	case !taskID.MatchString(c.TaskID):
		return "template_card.task_id invalid"
	case len(c.Buttons) < 1 || len(c.Buttons) > 6:
		return "template_card.button_list invalid"
	case len(c.Rows) > 6:
		return "template_card.horizontal_content_list too long"
	}
	for _, b := range r.Card.Buttons {
		if b.Text == "" || b.Key == "" || len(b.Key) > 1024 {
			return "template_card.button_list invalid"
		}
	}
	return ""
}

// code changes the card of a task once, until it expires.
type code struct {
	task    string
	expires time.Time
	used    bool
}

func (s *Server) newCode(task string, now time.Time) string {
	s.serial++
	name := "code-" + strconv.Itoa(s.serial) + "-" + task
	s.codes[name] = &code{task: task, expires: now.Add(CodeLife)}
	return name
}

func (s *Server) update(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, s.nextFault(func(c *Counts) { c.Updates++ }), s.changeCard)
}

// changeRequest is a request to change a card.
type changeRequest struct {
	UserIDs []string `json:"userids"`
	AgentID int      `json:"agentid"`
	Code    string   `json:"response_code"`
	Button  *struct {
		Name string `json:"replace_name"`
	} `json:"button"`
	Card *templateCard `json:"template_card"`
}

// changeCard does what the provider does with a request to change a card. The
// errcode of a code that is spent, expired or made up is not documented.
func (s *Server) changeCard(token string, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	if a, ok := s.checkToken(token, now); !ok {
		return a
	}
	var r changeRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return s.problem(40008, "Warning: wrong json format")
	}
	c, known := s.codes[r.Code]
	switch {
	case r.AgentID != s.config.AgentID:
		return s.problem(40056, "invalid agentid")
	case !known || c.used || !now.Before(c.expires):
		return s.problem(42045, "response_code invalid")
	case (r.Button == nil) == (r.Card == nil):
		return s.problem(40058, "button or template_card missing. invalid Request Parameter")
	}
	c.used = true
	for i, m := range s.messages {
		if m.Card != nil && m.Card.Task == c.task && named(r.UserIDs, m.To) {
			s.messages[i] = changed(m, r)
		}
	}
	return answer{ErrMsg: "ok"}
}

func named(list []string, member string) bool {
	for _, name := range list {
		if strings.EqualFold(name, member) {
			return true
		}
	}
	return false
}

func changed(m Message, r changeRequest) Message {
	if r.Card != nil {
		m.Card, m.Text = r.Card.shown("template_card"), r.Card.text()
		return m
	}
	card := *m.Card
	card.Buttons, card.Replaced = nil, r.Button.Name
	m.Card = &card
	return m
}
