package feishu

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	"github.com/midwatch-slo/midwatch/internal/standin/faults"
	standin "github.com/midwatch-slo/midwatch/internal/standin/feishu"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot/robottest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	robotToken  = "5e3d587e-d78e-4a07-bd07-265f269f86fd"
	robotSecret = "nIMtb7r3N9pkXyXdtAbx6e"
)

type rig struct {
	*Notifier
	robot    *standin.Server
	clock    *robottest.Clock
	web      *httptest.Server
	settings provider.Settings
}

func newRig(t *testing.T, logger *slog.Logger, step time.Duration, message string) rig {
	t.Helper()
	clock := robottest.NewClock(step)
	robot := standin.New(standin.Config{Token: robotToken, Secret: robotSecret, Now: clock.Now})
	web, settings := robottest.Serve(t, robot, clock)
	settings.Logger = logger
	n, err := New(Config{Settings: settings, Token: secret.New(robotToken), Secret: secret.New(robotSecret), Message: message})
	if err != nil {
		t.Fatal(err)
	}
	return rig{n, robot, clock, web, settings}
}

// readable is a message as it is read.
func readable(m standin.Message) string {
	lines := []string{m.Title, strings.ReplaceAll(m.Text, "**", "")}
	for _, l := range m.Links {
		lines = append(lines, l.URL)
	}
	return strings.Join(lines, "\n")
}

func TestContract(t *testing.T) {
	troubles := map[notifytest.Trouble]faults.Fault{
		notifytest.Down: faults.ServerError, notifytest.Later: standin.TooOften, notifytest.Refused: standin.Forbidden,
		notifytest.Hang: faults.Hang, notifytest.Half: faults.HalfBody,
	}
	for message, markup := range map[string][]string{
		"card": {"[tap](http://evil.example)", "**bold**", "<font color='red'>", "<at id=all></at>", "&#60;at id=all&#62;"},
		"text": {`<at user_id="all"></at>`},
	} {
		t.Run(message, func(t *testing.T) {
			notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
				r := newRig(t, logger, time.Second, message)
				return notifytest.Provider{
					Notifier: r, Channel: "feishu", Address: "ou_84aad35d084aa403a838cf73ee18467", Secrets: []string{robotToken, robotSecret},
					Markup: markup, Replies: replies(r.robot.Fail),
					Delivered: func() (got []notifytest.Delivery) {
						for _, m := range r.robot.Messages() {
							got = append(got, notifytest.Delivery{To: strings.Join(m.Called, ","), Text: readable(m), Raw: m.Title + m.Text})
						}
						return got
					},
					Trouble: func(f notifytest.Trouble) { r.robot.Fail(troubles[f]) },
					Close:   r.web.Close,
				}
			})
		})
	}
}

func replies(fail func(...faults.Fault)) []notifytest.Reply {
	return append(
		robottest.Replies(fail),
		robottest.Reply(fail, standin.TooOften, true, "errcode 11232", 10*time.Second),
		robottest.Reply(fail, standin.TooMany, true, "429", 10*time.Second),
		robottest.Reply(fail, standin.BadRequest, false, "errcode 9499", 0),
		robottest.Reply(fail, standin.Forbidden, false, "errcode 19022", 0),
	)
}

func pageTo(address, key string) page.Page { return robottest.Page("feishu", address, key) }

// The signature was computed by Python's hmac.
func TestSignature(t *testing.T) {
	if got := Sign(secret.New("demo"), "1599360473"); got != "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8=" {
		t.Errorf("got %s", got)
	}
}

func TestCardsShowTheLevelAndCallMembers(t *testing.T) {
	r := newRig(t, nil, time.Second, "")
	for _, tt := range []struct {
		address, color string
		change         func(*page.Page)
		called         []string
	}{
		{"ou_1,ou_2", "red", func(*page.Page) {}, []string{"ou_1", "ou_2"}},
		{"@all", "orange", func(p *page.Page) { p.Incident.Level = alert.P2 }, []string{"all"}},
		{"@group", "green", func(p *page.Page) { p.Kind, p.Incident.Status = page.Resolved, alert.Closed }, nil},
		{"@group", "grey", func(p *page.Page) { p.Incident.Drill = true }, nil},
		{"@group", "blue", func(p *page.Page) { p.Kind, p.Body = page.Report, "- one" }, nil},
	} {
		p := pageTo(tt.address, tt.color)
		tt.change(&p)
		if _, err := r.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		all := r.robot.Messages()
		m := all[len(all)-1]
		if m.Color != tt.color || m.Title != p.Subject() || !slices.Equal(m.Called, tt.called) || len(m.Links) != 1 || m.Links[0].URL != p.Link {
			t.Errorf("%s: %+v", tt.color, m)
		}
	}
	if _, err := r.Send(t.Context(), pageTo("mobile:13800001111", "x")); robottest.SendError(t, err).Temporary {
		t.Errorf("a mobile number: %v", err)
	}
}

func TestPaceIsKept(t *testing.T) {
	r := newRig(t, nil, 0, "")
	for i := range standin.PerMinute {
		if i%standin.PerSecond == 0 {
			r.clock.Advance(time.Second)
		}
		if _, err := r.Send(t.Context(), pageTo("@group", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Send(t.Context(), pageTo("@group", "one too many"))
	if se := robottest.SendError(t, err); !se.Temporary || se.RetryAfter != 41*time.Second {
		t.Errorf("got %+v", se)
	}
	r.clock.Advance(time.Minute)
	for i := range standin.PerSecond + 1 {
		_, err = r.Send(t.Context(), pageTo("@group", fmt.Sprint("burst ", i)))
	}
	if se := robottest.SendError(t, err); se.RetryAfter != time.Second {
		t.Errorf("got %+v", se)
	}
	if c := r.robot.Counts(); c.Limited != 0 {
		t.Errorf("%+v", c)
	}
}

func TestWrongSecretIsPermanent(t *testing.T) {
	r := newRig(t, nil, 0, "")
	for name, c := range map[string]Config{
		"errcode 19021": {Token: secret.New(robotToken), Secret: secret.New("another")},
		"errcode 19001": {Token: secret.New("another/../x")},
	} {
		c.Settings = r.settings
		n, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = n.Send(t.Context(), pageTo("@group", "x")); robottest.SendError(t, err).Temporary || robottest.SendError(t, err).Code != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestLongMessagesFit(t *testing.T) {
	for _, message := range []string{"card", "text"} {
		r := newRig(t, nil, 0, message)
		p := pageTo("@group", "report")
		p.Kind, p.Body = page.Report, strings.Repeat(`- "quotes" and \ are two bytes each in JSON: `+strings.Repeat(`"`, 400)+"\n", 200)
		if _, err := r.Send(t.Context(), p); err != nil {
			t.Errorf("%s: %v", message, err)
		}
	}
}

func TestConfiguration(t *testing.T) {
	_, err := New(Config{Settings: provider.Settings{APIURL: "open.feishu.cn", Timeout: -1}, Message: "markdown"})
	for _, want := range []string{"api_url:", "timeout:", "token:", "message:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(robotToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{TokenFile: file, SecretFile: file}); err != nil {
		t.Error(err)
	}
}

// FuzzRead lets the provider say anything.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"code":0,"msg":"success","data":{}}`))
	f.Add([]byte(`{"StatusCode":0,"StatusMessage":"success"}`))
	f.Add([]byte(`{"code":19021,"msg":"sign match fail\u0007"}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := read(content); err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00\x1b")) {
			t.Fatalf("an error that is not for a log: %q", err)
		}
	})
}

func TestEveryKeyOfTheConfigurationIsRead(t *testing.T) {
	f, err := yamldoc.Parse("midwatch.yaml", []byte("{api_url: https://a, timeout: 3s, token: t, token_file: f, secret: s, secret_file: f, message: text}"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if problems := f.Decode(f.Docs[0], &c); len(problems) > 0 || c.Timeout != 3*time.Second || c.Secret.Reveal() != "s" {
		t.Errorf("%v: got %+v", problems, c)
	}
}
