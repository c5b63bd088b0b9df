package wecom

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/page"
)

// The example of the provider's own documentation and libraries
// (https://developer.work.weixin.qq.com/document/path/90968).
const (
	exampleCorp  = "wx5823bf96d3bd56c7"
	exampleToken = "QDG6eK"
	exampleEcho  = "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ=="
	exampleText  = "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q=="
)

func example(t testing.TB) *envelope {
	t.Helper()
	e, err := openEnvelope(Callback{Token: secret.New(exampleToken), AESKey: secret.New(callbackKey)}, exampleCorp)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTheProvidersOwnExample(t *testing.T) {
	e := example(t)
	if !e.signed("5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3", "1409659589", "263014780", exampleEcho) {
		t.Error("the signature of the verification is refused")
	}
	if got, err := e.open(exampleEcho); err != nil || string(got) != "1616140317555161061" {
		t.Errorf("the verification says %q, %v", got, err)
	}
	if !e.signed("477715d11cdb4164915debcba66cb864d751f3e6", "1409659813", "1372623149", exampleText) {
		t.Error("the signature of the message is refused")
	}
	content, err := e.open(exampleText)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readEvent(content)
	want := event{From: "mycreate", Created: "1409659813", Type: "text", Content: "hello", ID: "4561255354251345929", Agent: "218"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	e.receiver = "wx-another"
	if _, err := e.open(exampleText); !errors.Is(err, errReceiver) {
		t.Errorf("another company's message: %v", err)
	}
}

// desk notes what it is asked.
type desk struct {
	mu   sync.Mutex
	done []string
	fail error
	hold chan struct{} // closed to go on; nil: at once
	via  string
}

func (d *desk) do(ctx context.Context, verb string, id int64, actor string) error {
	if d.hold != nil {
		select {
		case <-d.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.done, d.via = append(d.done, fmt.Sprintf("%s %d by %s", verb, id, actor)), alert.Via(ctx)
	return d.fail
}

func (d *desk) Acknowledge(ctx context.Context, id int64, actor string) error {
	return d.do(ctx, "acknowledge", id, actor)
}

func (d *desk) Escalate(ctx context.Context, id int64, actor string) error {
	return d.do(ctx, "escalate", id, actor)
}

func (d *desk) Resolve(ctx context.Context, id int64, actor string) error {
	return d.do(ctx, "resolve", id, actor)
}

// people knows one person.
type people struct{}

func (people) Person(channel, address string) (string, bool) {
	return "li.wei", channel == "wecom" && strings.EqualFold(address, "LiWei")
}

// office is a company whose callbacks reach a desk.
type office struct {
	rig
	desk    *desk
	handler http.Handler
	url     string
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{desk: &desk{}}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { o.handler.ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	o.url = front.URL + "/callbacks/wecom"
	o.rig = newRigFor(t, nil, Config{}, o.url)
	o.handler = o.Handler(o.desk, people{})
	return o
}

// page sends a card and returns it with the reference to it.
func (o *office) page(t *testing.T, change func(*page.Page)) (standin.Message, page.Page) {
	t.Helper()
	p := pageTo("LiWei", t.Name())
	if change != nil {
		change(&p)
	}
	ref, err := o.Send(t.Context(), p)
	if err != nil || ref == "" {
		t.Fatalf("reference %q, %v", ref, err)
	}
	p.Ref = ref
	return o.last(), p
}

func (o *office) last() standin.Message {
	all := o.provider.Messages()
	return all[len(all)-1]
}

func (o *office) press(t *testing.T, m standin.Message, text string) {
	t.Helper()
	i := slices.IndexFunc(m.Card.Buttons, func(b standin.Button) bool { return b.Text == text })
	if i < 0 {
		t.Fatalf("no button %q in %+v", text, m.Card)
	}
	if err := o.provider.Click(t.Context(), m.ID, m.To, m.Card.Buttons[i].Key); err != nil {
		t.Fatal(err)
	}
}

// settle waits until all that callbacks asked for is done.
func (o *office) settle() { o.work.busy.Wait() }

func (o *office) asked() []string {
	o.desk.mu.Lock()
	defer o.desk.mu.Unlock()
	return slices.Clone(o.desk.done)
}

func texts(m standin.Message) (all []string) {
	for _, b := range m.Card.Buttons {
		all = append(all, b.Text)
	}
	return all
}

func TestTheConsoleVerifiesTheAddress(t *testing.T) {
	o := newOffice(t)
	if err := o.provider.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAClickAcknowledgesAndIsShown(t *testing.T) {
	o := newOffice(t)
	card, _ := o.page(t, nil)
	if got := texts(card); !slices.Equal(got, []string{"Acknowledge", "Escalate"}) {
		t.Fatalf("buttons %q", got)
	}
	o.press(t, card, "Escalate")
	o.settle()
	if got := o.last().Card; got.Desc != "Escalated by li.wei at 03:00:00" || len(got.Buttons) != 2 {
		t.Errorf("the card after escalating: %+v", got)
	}
	o.clock.Advance(time.Minute)
	o.press(t, o.last(), "Acknowledge")
	o.settle()
	if got := o.last(); got.Card.Desc != "Acknowledged by li.wei at 03:01:00" || !slices.Equal(texts(got), []string{"Escalate"}) {
		t.Errorf("the card after acknowledging: %+v", got.Card)
	}
	if got := o.asked(); !slices.Equal(got, []string{"escalate 12 by li.wei", "acknowledge 12 by li.wei"}) || o.desk.via != "chat" {
		t.Errorf("the desk was asked %q via %q", got, o.desk.via)
	}
	if n := len(o.provider.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestAClickAfterARestartIsShownInPlaceOfTheButtons(t *testing.T) {
	o := newOffice(t)
	card, _ := o.page(t, func(p *page.Page) { p.To.Language, p.To.Address = "zh", "Ana" })
	o.cards = newRecent[shownCard](1)
	o.press(t, card, "认领")
	o.settle()
	if got := o.last().Card; got.Replaced != "ana 已于 03:00:00 认领" || len(got.Buttons) != 0 {
		t.Errorf("the card: %+v", got)
	}
	if got := o.asked(); !slices.Equal(got, []string{"acknowledge 12 by ana"}) {
		t.Errorf("the desk was asked %q", got)
	}
}

func TestRepeatedCallbacksActOnce(t *testing.T) {
	o := newOffice(t)
	card, _ := o.page(t, nil)
	key := card.Card.Buttons[0].Key
	body := fmt.Sprintf("<xml><FromUserName>LiWei</FromUserName><CreateTime>1</CreateTime><MsgType>event</MsgType><Event>template_card_event</Event><EventKey>%s</EventKey><TaskId>t</TaskId><AgentID>1000002</AgentID></xml>", key)
	for range 3 {
		if status := o.tell(t, body, nil); status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	o.settle()
	if got := o.asked(); len(got) != 1 {
		t.Errorf("the desk was asked %q", got)
	}
}

// tell posts a message that the provider signed, changed by whoever is between.
func (o *office) tell(t *testing.T, message string, change func(query url.Values, body *string)) int {
	t.Helper()
	query, encrypted, err := o.provider.Seal(message)
	if err != nil {
		t.Fatal(err)
	}
	body := "<xml><Encrypt><![CDATA[" + encrypted + "]]></Encrypt></xml>"
	if change != nil {
		change(query, &body)
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/callbacks/wecom?"+query.Encode(), strings.NewReader(body)))
	return w.Code
}

const acknowledges = "<xml><FromUserName>LiWei</FromUserName><CreateTime>1</CreateTime><MsgType>text</MsgType><Content>ack 12</Content><MsgId>%d</MsgId>%s</xml>"

func TestCallbacksThatAreRefused(t *testing.T) {
	o := newOffice(t)
	for name, tt := range map[string]struct {
		message string
		change  func(url.Values, *string)
		want    int
	}{
		"no signature":       {"", func(q url.Values, _ *string) { q.Del("msg_signature") }, http.StatusUnauthorized},
		"another nonce":      {"", func(q url.Values, _ *string) { q.Set("nonce", "1") }, http.StatusUnauthorized},
		"another message":    {"", func(_ url.Values, b *string) { *b = strings.Replace(*b, "CDATA[", "CDATA[AAAA", 1) }, http.StatusUnauthorized},
		"upper case":         {"", func(q url.Values, _ *string) { q.Set("msg_signature", strings.ToUpper(q.Get("msg_signature"))) }, http.StatusUnauthorized},
		"no message":         {"", func(_ url.Values, b *string) { *b = "<xml/>" }, http.StatusBadRequest},
		"not base64":         {"", func(_ url.Values, b *string) { *b = "<xml><Encrypt>%%%</Encrypt></xml>" }, http.StatusBadRequest},
		"too large":          {"", func(_ url.Values, b *string) { *b += strings.Repeat(" ", maxCallback) }, http.StatusRequestEntityTooLarge},
		"signed, not sealed": {"", resigned("AAAA"), http.StatusBadRequest},
		"an hour ago":        {"", at(-time.Hour), http.StatusUnauthorized},
		"an hour ahead":      {"", at(time.Hour), http.StatusUnauthorized},
		"an entity":          {`<!DOCTYPE xml [<!ENTITY a "b">]><xml><FromUserName>&a;</FromUserName></xml>`, nil, http.StatusBadRequest},
		"deep":               {strings.Repeat("<a>", 100), nil, http.StatusBadRequest},
		"wide":               {"<xml>" + strings.Repeat("<a/>", 1000) + "</xml>", nil, http.StatusBadRequest},
		"not XML":            {"hello", nil, http.StatusBadRequest},
		"not UTF-8":          {"<xml><FromUserName>\xff</FromUserName></xml>", nil, http.StatusBadRequest},
		"everybody":          {"<xml><FromUserName>@all</FromUserName></xml>", nil, http.StatusBadRequest},
	} {
		message := tt.message
		if message == "" {
			message = fmt.Sprintf(acknowledges, 7, "")
		}
		if got := o.tell(t, message, tt.change); got != tt.want {
			t.Errorf("%s: status %d, want %d", name, got, tt.want)
		}
	}
	w := httptest.NewRecorder()
	o.handler.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("DELETE: status %d", w.Code)
	}
	o.settle()
	if got := o.asked(); len(got) != 0 {
		t.Errorf("the desk was asked %q", got)
	}
}

func resigned(encrypted string) func(url.Values, *string) {
	return func(q url.Values, b *string) {
		q.Set("msg_signature", standin.Sign(callbackToken, q.Get("timestamp"), q.Get("nonce"), encrypted))
		*b = "<xml><Encrypt>" + encrypted + "</Encrypt></xml>"
	}
}

// at signs for another time.
func at(d time.Duration) func(url.Values, *string) {
	return func(q url.Values, b *string) {
		encrypted, _ := encryptedIn([]byte(*b))
		q.Set("timestamp", fmt.Sprint(time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC).Add(d).Unix()))
		resigned(encrypted)(q, b)
	}
}

func TestAnotherApplicationsCallbackIsAnsweredAndIgnored(t *testing.T) {
	o := newOffice(t)
	if got := o.tell(t, fmt.Sprintf(acknowledges, 7, "<AgentID>3</AgentID>"), nil); got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	o.settle()
	if got := o.asked(); len(got) != 0 {
		t.Errorf("the desk was asked %q", got)
	}
}

func TestASlowDeskDelaysNoAnswer(t *testing.T) {
	o := newOffice(t)
	o.desk.hold = make(chan struct{})
	for i := range maxWork {
		if got := o.tell(t, fmt.Sprintf(acknowledges, i, ""), nil); got != http.StatusOK {
			t.Fatalf("callback %d: status %d", i, got)
		}
	}
	one := fmt.Sprintf(acknowledges, maxWork, "")
	if got := o.tell(t, one, nil); got != http.StatusServiceUnavailable {
		t.Errorf("one too many: status %d", got)
	}
	close(o.desk.hold)
	o.settle()
	if got := o.tell(t, one, nil); got != http.StatusOK {
		t.Errorf("the same repeated: status %d", got)
	}
	o.Close()
	if got := len(o.asked()); got != maxWork+1 {
		t.Errorf("the desk was asked %d times", got)
	}
	if got := o.tell(t, fmt.Sprintf(acknowledges, 99, ""), nil); got != http.StatusServiceUnavailable {
		t.Errorf("after Close: status %d", got)
	}
}

func TestMessagesOfMembers(t *testing.T) {
	for text, want := range map[string][2]string{
		"ack 12":         {"acknowledge 12 by ana", "Incident 12 is acknowledged: it is yours."},
		" ACK  #12 ":     {"acknowledge 12 by ana", "Incident 12 is acknowledged: it is yours."},
		"认领12":           {"acknowledge 12 by ana", "故障 12 已由你认领。"},
		"升级　3":           {"escalate 3 by ana", "故障 3 已升级，正在通知下一级。"},
		"resolve 7":      {"resolve 7 by ana", "Incident 7 is resolved."},
		"ack":            {"", "Write: ack 12, escalate 12 or resolve 12, with the number of the incident."},
		"ack 0":          {"", "Write: ack 12, escalate 12 or resolve 12, with the number of the incident."},
		"ack -1":         {"", "Write: ack 12, escalate 12 or resolve 12, with the number of the incident."},
		"rm 12":          {"", "Write: ack 12, escalate 12 or resolve 12, with the number of the incident."},
		"你好":             {"", "请发送：认领 12、升级 12 或 关闭 12（数字为故障编号）。"},
		"ack 12 and run": {"", "Write: ack 12, escalate 12 or resolve 12, with the number of the incident."},
	} {
		o := newOffice(t)
		if err := o.provider.Say(t.Context(), "ana", text); err != nil {
			t.Fatal(err)
		}
		o.settle()
		if got := strings.Join(o.asked(), ";"); got != want[0] || o.last().Text != want[1] {
			t.Errorf("%q: did %q, said %q", text, got, o.last().Text)
		}
	}
}

func TestWhatFailsIsSaidAndTheCardStays(t *testing.T) {
	o := newOffice(t)
	o.desk.fail = errors.New("database at 10.0.0.7 is locked")
	card, _ := o.page(t, nil)
	o.press(t, card, "Acknowledge")
	o.settle()
	if got := o.last().Text; !strings.HasPrefix(got, "That did not work for incident 12.") || strings.Contains(got, "10.0.0.7") {
		t.Errorf("said %q", got)
	}
	if c := o.provider.Counts(); c.Updates != 0 {
		t.Errorf("%+v", c)
	}
}

func TestCallbackConfiguration(t *testing.T) {
	ok := Config{CorpID: "ww", AgentID: 1, Secret: secret.New("x")}
	for want, c := range map[string]Config{
		"callback.token: missing":   {Callback: &Callback{}},
		"callback.aes_key: missing": {Callback: &Callback{Token: secret.New("t")}},
		"43 letters and digits":     {Callback: &Callback{Token: secret.New("t"), AESKey: secret.New("short")}},
		"give callback":             {Message: "card"},
		"none of card, markdown":    {Message: "fax"},
	} {
		c.CorpID, c.AgentID, c.Secret = ok.CorpID, ok.AgentID, ok.Secret
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	n, err := New(ok)
	if err != nil || n.Edits() {
		t.Errorf("texts can be changed, %v", err)
	}
	w := httptest.NewRecorder()
	n.Handler(&desk{}, nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("without a callback: status %d", w.Code)
	}
}
