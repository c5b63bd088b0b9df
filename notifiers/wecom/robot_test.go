package wecom

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot/robottest"
)

const robotKey = "693a91f6-robot-key"

func newRobot(t *testing.T, r rig, logger *slog.Logger, message string) *Robot {
	t.Helper()
	n, err := NewRobot(RobotConfig{
		Settings: provider.Settings{APIURL: r.config.APIURL, Logger: logger, Transport: r.config.Transport, Now: r.clock.Now},
		Key:      secret.New(robotKey), Message: message,
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestRobotContract(t *testing.T) {
	for message, limit := range map[string]int{"markdown": MaxRobotMarkdown, "text": MaxText} {
		t.Run(message, func(t *testing.T) {
			notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
				r := newRig(t, logger)
				return notifytest.Provider{
					Notifier: newRobot(t, r, logger, message), Channel: "wecom_robot", Address: "LiWei", Limit: limit, Secrets: []string{robotKey, "key="},
					Markup: map[string][]string{"markdown": markup()[:5], "text": append(inText(), "<@all>")}[message], Replies: replies(r.provider.Fail),
					Delivered: func() (got []notifytest.Delivery) {
						for _, m := range r.provider.Messages() {
							got = append(got, notifytest.Delivery{To: strings.Join(m.Mentioned, ","), Text: strings.ReplaceAll(m.Text, "**", ""), Raw: m.Text})
						}
						return got
					},
					Trouble: func(f notifytest.Trouble) { r.provider.Fail(troubles()[f]) },
					Close:   r.web.Close,
				}
			})
		})
	}
}

func TestRobotMentions(t *testing.T) {
	r := newRig(t, nil)
	n := newRobot(t, r, nil, "")
	for _, tt := range []struct {
		address, msgType string
		mentioned        []string
	}{
		{"LiWei,Ana", "markdown", []string{"Ana", "LiWei"}},
		{"@group", "markdown", nil},
		{"@all", "text", []string{"@all"}},
		{"LiWei, mobile:13800001111", "text", []string{"LiWei", "mobile:13800001111"}},
	} {
		p := pageTo(tt.address, tt.address)
		p.Incident.Title, p.SLO.Standings = "<@all> <@Ana> [tap](http://evil.example)", nil
		if _, err := n.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		all := r.provider.Messages()
		if m := all[len(all)-1]; m.Type != tt.msgType || !slices.Equal(m.Mentioned, tt.mentioned) || m.To != robotKey {
			t.Errorf("%s: %s to %s mentions %q", tt.address, m.Type, m.To, m.Mentioned)
		}
	}
	if _, err := n.Send(t.Context(), pageTo("not a member", "x")); robottest.SendError(t, err).Temporary {
		t.Errorf("got %v", err)
	}
}

func TestRobotKeepsItsPace(t *testing.T) {
	r := newRig(t, nil)
	n := newRobot(t, r, nil, "")
	for i := range standin.RobotPerMinute {
		r.clock.Advance(time.Second)
		if _, err := n.Send(t.Context(), pageTo("@group", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := n.Send(t.Context(), pageTo("@group", "one too many"))
	if se := robottest.SendError(t, err); !se.Temporary || se.RetryAfter != 41*time.Second {
		t.Errorf("got %+v", se)
	}
	next := newRobot(t, r, nil, "")
	next.Inherit(n)
	if _, err := next.Send(t.Context(), pageTo("@group", "after a reload")); err == nil {
		t.Error("a reload begins to count anew")
	}
	r.clock.Advance(41 * time.Second)
	r.provider.Fail(standin.TooOften)
	_, first := n.Send(t.Context(), pageTo("@group", "refused"))
	_, second := n.Send(t.Context(), pageTo("@group", "not even tried"))
	if robottest.SendError(t, first).Code != "errcode 45009" || robottest.SendError(t, second).RetryAfter != time.Minute || robottest.SendError(t, second).Code != "" {
		t.Errorf("got %v, %v", first, second)
	}
	if c := r.provider.Counts(); c.Dropped != 0 || c.Sends != standin.RobotPerMinute+1 {
		t.Errorf("%+v", c)
	}
}

func TestRobotConfiguration(t *testing.T) {
	_, err := NewRobot(RobotConfig{Settings: provider.Settings{APIURL: "x", Timeout: -1}, Message: "card"})
	for _, want := range []string{"api_url:", "timeout:", "key:", "message:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
}
