package wecom

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/internal/secret"
	standin "github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/notifiers/provider"
)

// quiet is a handler for fuzzing, and who signs for it.
func quiet(f *testing.F) (*callback, *standin.Server) {
	now := func() time.Time { return time.Unix(1409659813, 0) }
	n, err := New(Config{
		Settings: provider.Settings{Now: now, APIURL: "http://127.0.0.1:1"},
		CorpID:   exampleCorp, AgentID: 218, Secret: secret.New("x"),
		Callback: &Callback{Token: secret.New(exampleToken), AESKey: secret.New(callbackKey)},
	})
	if err != nil {
		f.Fatal(err)
	}
	n.work.close() // nothing is to be done
	return &callback{Notifier: n, desk: &desk{}}, standin.New(standin.Config{CorpID: exampleCorp, AgentID: 218, CallbackToken: exampleToken, CallbackKey: callbackKey, Now: now})
}

// FuzzCallback lets anybody send anything: what is not signed is refused.
func FuzzCallback(f *testing.F) {
	c, _ := quiet(f)
	f.Add(http.MethodPost, "msg_signature=477715d11cdb4164915debcba66cb864d751f3e6&timestamp=1409659813&nonce=1372623149", []byte("<xml><Encrypt>"+exampleText+"</Encrypt></xml>"))
	f.Add(http.MethodGet, "msg_signature=5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3&timestamp=1409659589&nonce=263014780&echostr="+url.QueryEscape(exampleEcho), []byte{})
	f.Add(http.MethodPost, "", []byte("<xml><Encrypt><![CDATA[x]]></Encrypt>"))
	f.Fuzz(func(t *testing.T, method, query string, body []byte) {
		if method != http.MethodGet && method != http.MethodPost {
			method = http.MethodPost
		}
		r := httptest.NewRequest(method, "/", bytes.NewReader(body))
		r.URL.RawQuery = query
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		signed := strings.Contains(query, "477715d11cdb4164915debcba66cb864d751f3e6") || strings.Contains(query, "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3")
		if w.Code == http.StatusOK && !signed || w.Code == 0 {
			t.Fatalf("status %d", w.Code)
		}
	})
}

// FuzzSealed lets the provider itself send anything.
func FuzzSealed(f *testing.F) {
	c, provider := quiet(f)
	f.Add(fmt.Sprintf(acknowledges, 1, ""))
	f.Add("<xml><FromUserName>a</FromUserName><MsgType>event</MsgType><Event>template_card_event</Event><EventKey>ack:1:en:Asia/Shanghai</EventKey></xml>")
	f.Add("<!DOCTYPE a><xml>&#0;</xml>")
	f.Fuzz(func(t *testing.T, message string) {
		query, encrypted, err := provider.Seal(message)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.cipher.open(encrypted); err != nil || string(got) != message {
			t.Fatalf("%q is opened as %q, %v", message, got, err)
		}
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/?"+query.Encode(), strings.NewReader("<xml><Encrypt>"+encrypted+"</Encrypt></xml>")))
		e, err := readEvent([]byte(message))
		if err != nil && w.Code == http.StatusOK {
			t.Fatalf("status %d for %v", w.Code, err)
		}
		if o, ok := parseCommand(e.Content); ok && (o.Incident <= 0 || o.Verb == "") {
			t.Fatalf("an order that is none: %+v", o)
		}
		if o, ok := parseOrder(e.Key); ok {
			if again, ok := parseOrder(o.String()); !ok || again != o {
				t.Fatalf("%+v is read back as %+v", o, again)
			}
		}
	})
}

// FuzzReference lets a store bring back anything.
func FuzzReference(f *testing.F) {
	f.Add(reference{"code", "task", 1}.String())
	f.Add(`{"code":7}`)
	f.Fuzz(func(t *testing.T, text string) {
		r, ok := readReference(text)
		if !ok {
			return
		}
		if again, ok := readReference(r.String()); len(r.String()) <= 4096 && r.String() != "" && (!ok || again != r) {
			t.Fatalf("%+v is read back as %+v", r, again)
		}
	})
}

// FuzzRead lets the provider say anything.
func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok","access_token":"x","expires_in":7200}`))
	f.Add([]byte(`{"errcode":81013,"errmsg":"user & party & tag all invalid, hint: [1]\u0007","invaliduser":"a"}`))
	f.Add([]byte(`{"errmsg":"ok"}`))
	f.Add([]byte("\xff[[["))
	f.Fuzz(func(t *testing.T, content []byte) {
		a, err := read(content)
		if err == nil && (a.ErrCode == nil || *a.ErrCode != 0) {
			t.Fatal("an answer without an errcode of 0 is a yes")
		}
		if err != nil && (len(err.Error()) > 1000 || strings.ContainsAny(err.Error(), "\n\x00\x1b")) {
			t.Fatalf("an error that is not for a log: %q", err)
		}
	})
}
