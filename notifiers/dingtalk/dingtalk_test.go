package dingtalk

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

	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/dingtalk"
	"github.com/midwatch-slo/midwatch/internal/standin/faults"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/notifiers/notifytest"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
	"github.com/midwatch-slo/midwatch/notifiers/robot/robottest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	robotToken  = "566cc69da782ec-the-token"
	robotSecret = "SEC240d7bb4c0bafc62-the-secret"
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
	robot := standin.New(standin.Config{AccessToken: robotToken, Secret: robotSecret, Now: clock.Now})
	web, settings := robottest.Serve(t, robot, clock)
	settings.Logger = logger
	n, err := New(Config{Settings: settings, AccessToken: secret.New(robotToken), Secret: secret.New(robotSecret), Message: message})
	if err != nil {
		t.Fatal(err)
	}
	return rig{n, robot, clock, web, settings}
}

func TestContract(t *testing.T) {
	troubles := map[notifytest.Trouble]faults.Fault{
		notifytest.Down: faults.ServerError, notifytest.Later: standin.Busy, notifytest.Refused: standin.Disabled,
		notifytest.Hang: faults.Hang, notifytest.Half: faults.HalfBody,
	}
	for message, markup := range map[string][]string{
		"markdown": {"[tap](http://evil.example)", "**bold**", "<font color=red>", "![x](http://evil.example)"},
		"text":     {`<a href="http://evil.example">tap</a>`},
	} {
		t.Run(message, func(t *testing.T) {
			notifytest.Run(t, func(t *testing.T, logger *slog.Logger) notifytest.Provider {
				r := newRig(t, logger, 4*time.Second, message)
				return notifytest.Provider{
					Notifier: r, Channel: "dingtalk", Address: "manager123", Secrets: []string{robotToken, robotSecret, "access_token=", "sign="},
					Markup: markup, Replies: replies(r.robot.Fail),
					Delivered: func() (got []notifytest.Delivery) {
						for _, m := range r.robot.Messages() {
							got = append(got, notifytest.Delivery{To: strings.Join(m.Called, ","), Text: strings.ReplaceAll(m.Text, "**", ""), Raw: m.Text})
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
		robottest.Reply(fail, standin.Busy, true, "errcode -1", 2*time.Second),
		robottest.Reply(fail, standin.Unsafe, false, "errcode 430101", 0),
		robottest.Reply(fail, standin.TooOften, true, "errcode 410100", 10*time.Minute),
	)
}

func pageTo(address, key string) page.Page { return robottest.Page("dingtalk", address, key) }

// The signature was computed by "openssl dgst -sha256 -hmac".
func TestSignature(t *testing.T) {
	if got := Sign(secret.New("SECabc"), "1599360473000"); got != "3SJkK5Fm70JVVkwmvZFkgdPlr53Kn2utLHLz9DzuOSc=" {
		t.Errorf("got %s", got)
	}
}

func TestMentions(t *testing.T) {
	r := newRig(t, nil, 0, "")
	for address, want := range map[string][]string{
		"mobile:13800001111,manager123": {"13800001111", "manager123"}, "@all": nil, "@group": nil,
	} {
		p := pageTo(address, address)
		p.Incident.Title, p.SLO.Standings = "@13800002222 @all", nil
		if _, err := r.Send(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		all := r.robot.Messages()
		m := all[len(all)-1]
		if !slices.Equal(m.Called, want) || m.All != (address == "@all") || m.Title != p.Subject() || strings.Contains(m.Text, "@13800002222") {
			t.Errorf("%s: %+v", address, m)
		}
	}
}

func TestPaceIsKeptBeforeTheRobotIsSilenced(t *testing.T) {
	r := newRig(t, nil, 0, "")
	for i := range standin.PerMinute {
		if _, err := r.Send(t.Context(), pageTo("@group", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	_, err := r.Send(t.Context(), pageTo("@group", "one too many"))
	if se := robottest.SendError(t, err); !se.Temporary || se.RetryAfter != time.Minute {
		t.Errorf("got %+v", se)
	}
	r.clock.Advance(time.Minute)
	r.robot.Fail(standin.TooOften)
	_, first := r.Send(t.Context(), pageTo("@group", "silenced"))
	r.clock.Advance(time.Minute)
	_, second := r.Send(t.Context(), pageTo("@group", "not even tried"))
	if robottest.SendError(t, first).Code != "errcode 410100" || robottest.SendError(t, second).Code != "" || robottest.SendError(t, second).RetryAfter != 9*time.Minute {
		t.Errorf("got %v, %v", first, second)
	}
	if c := r.robot.Counts(); c.Limited != 0 || c.Sends != standin.PerMinute+1 {
		t.Errorf("%+v", c)
	}
}

func TestWrongSecretIsPermanent(t *testing.T) {
	r := newRig(t, nil, 0, "")
	for name, c := range map[string]Config{
		"errcode 310000": {AccessToken: secret.New(robotToken), Secret: secret.New("SEC-another")},
		"errcode 400101": {AccessToken: secret.New("another")},
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
	for _, message := range []string{"markdown", "text"} {
		r := newRig(t, nil, 0, message)
		p := pageTo("@group", "report")
		p.Kind, p.Body = page.Report, strings.Repeat(`- "quotes" and \ are two bytes each in JSON: `+strings.Repeat(`"`, 400)+"\n", 200)
		if _, err := r.Send(t.Context(), p); err != nil {
			t.Errorf("%s: %v", message, err)
		}
	}
}

func TestConfiguration(t *testing.T) {
	_, err := New(Config{Settings: provider.Settings{APIURL: "oapi.dingtalk.com", Timeout: -1}, Message: "card"})
	for _, want := range []string{"api_url:", "timeout:", "access_token:", "message:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in %v", want, err)
		}
	}
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(robotToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{AccessTokenFile: file, SecretFile: file}); err != nil {
		t.Error(err)
	}
	if _, err := New(Config{AccessTokenFile: file, SecretFile: file + ".none"}); err == nil {
		t.Error("a file that there is not is read")
	}
}

// FuzzRead lets the provider say anything.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok"}`))
	f.Add([]byte(`{"errcode":310000,"errmsg":"sign not match\u0007"}`))
	f.Add([]byte("\xff[[["))
	f.Fuzz(func(t *testing.T, content []byte) {
		if err := read(content); err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00\x1b")) {
			t.Fatalf("an error that is not for a log: %q", err)
		}
	})
}

func TestEveryKeyOfTheConfigurationIsRead(t *testing.T) {
	f, err := yamldoc.Parse("midwatch.yaml", []byte("{api_url: https://a, timeout: 3s, access_token: t, access_token_file: f, secret: s, secret_file: f, message: text}"))
	if err != nil {
		t.Fatal(err)
	}
	var c Config
	if problems := f.Decode(f.Docs[0], &c); len(problems) > 0 || c.Timeout != 3*time.Second || c.Secret.Reveal() != "s" {
		t.Errorf("%v: got %+v", problems, c)
	}
}
