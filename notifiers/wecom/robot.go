package wecom

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/notifiers"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot"
	"github.com/midwatch-slo/midwatch/page"
)

// MaxRobotMarkdown is how many bytes of Markdown a robot's message may have;
// the provider refuses more.
const MaxRobotMarkdown = 4096

// robotPerMinute is how many messages of one robot the provider takes.
const robotPerMinute = 20

// RobotConfig says which robot of a group sends. Key and KeyFile are
// alternatives.
type RobotConfig struct {
	provider.Settings `yaml:",inline"`

	Key     secret.Secret `yaml:"key"`      // of the robot: what follows key= in its webhook address
	KeyFile string        `yaml:"key_file"` // a file that holds the key
	Message string        `yaml:"message"`  // markdown or text; default markdown
}

// Check returns what is wrong with the configuration; the error joins all of
// it. Secret files are not read.
func (c RobotConfig) Check() error {
	return errors.Join(slices.Concat(
		c.Settings.Check(usualURL),
		provider.Missing("key", c.Key, c.KeyFile),
		provider.OneOf("message", c.Message, messageMarkdown, messageText),
	)...)
}

// Robot sends pages to the group of one robot. An address is whom to mention:
// see robot.ParseMentions. The provider mentions mobile numbers and everybody
// only in texts, so a page that mentions them is a text
// (https://developer.work.weixin.qq.com/document/path/91770).
type Robot struct{ *robot.Robot }

var _ notifiers.Notifier = (*Robot)(nil)

// NewRobot returns a notifier. The error says what is wrong with the
// configuration; nothing is sent.
func NewRobot(c RobotConfig) (*Robot, error) {
	err := c.Check()
	if err == nil {
		c.Key, err = secret.Resolve("key", c.Key, c.KeyFile)
	}
	if err != nil {
		return nil, fmt.Errorf("wecom robot: %w", err)
	}
	c.Default("wecom_robot", usualURL)
	return &Robot{robot.New(c.Settings, robot.Protocol{
		Limits:  []provider.Limit{{Messages: robotPerMinute, Per: time.Minute}},
		Passing: passing(),
		Blocked: []int{45009},
		Request: c.request,
		Read:    func(b []byte) error { _, err := read(b); return err },
	})}, nil
}

// Inherit takes over how much an earlier notifier of the same robot has sent.
// It must come before the first Send.
func (r *Robot) Inherit(from *Robot) { r.Robot.Inherit(from.Robot) }

// robotMessage is a request to a robot.
type robotMessage struct {
	MsgType  string     `json:"msgtype"`
	Text     *robotText `json:"text,omitempty"`
	Markdown *content   `json:"markdown,omitempty"`
}

type robotText struct {
	Content   string   `json:"content"`
	Mentioned []string `json:"mentioned_list,omitempty"`
	Mobiles   []string `json:"mentioned_mobile_list,omitempty"`
}

func (c RobotConfig) request(p page.Page, m robot.Mentions) (robot.Request, error) {
	var msg robotMessage
	if c.Message == messageText || m.All || len(m.Mobiles) > 0 {
		users := slices.Clone(m.Users)
		if m.All {
			users = append(users, "@all")
		}
		// <@ and a user id would mention a member.
		text := strings.ReplaceAll(p.Text(MaxText), "<@", "(@")
		msg = robotMessage{MsgType: messageText, Text: &robotText{text, users, m.Mobiles}}
	} else {
		var mention strings.Builder
		for _, u := range m.Users {
			mention.WriteString("<@" + u + ">")
		}
		msg = robotMessage{MsgType: messageMarkdown, Markdown: &content{robot.Markdown(p, dialect(), mention.String(), MaxRobotMarkdown)}}
	}
	body, err := provider.Encode(msg)
	return robot.Request{URL: c.APIURL + "/cgi-bin/webhook/send?" + url.Values{"key": {c.Key.Reveal()}}.Encode(), Body: body}, err
}
