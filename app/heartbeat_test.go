package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/midwatch-slo/midwatch/internal/secret"
)

func TestTheHeartbeatStopsWhenMidwatchIsNotWell(t *testing.T) {
	var beats atomic.Int32
	answer := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/key-of-ours" {
			beats.Add(1)
		}
		w.Header().Set("Location", "http://[moved"+r.URL.Path)
		w.WriteHeader(answer)
	}))
	var sick error
	var log bytes.Buffer
	p, err := newPulse(&Heartbeat{URL: secret.New(server.URL + "/key-of-ours")}, func(context.Context) error { return sick }, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.beat(t.Context()); err != nil || beats.Load() != 1 {
		t.Errorf("well: %v, %d beats", err, beats.Load())
	}
	sick = errors.New("disk full")
	if err := p.beat(t.Context()); err == nil || beats.Load() != 1 {
		t.Errorf("not well: %v, %d beats", err, beats.Load())
	}
	sick, answer = nil, http.StatusNotFound
	if err := p.beat(t.Context()); err == nil {
		t.Error("404 is taken for a success")
	}
	answer = http.StatusFound
	if err := p.beat(t.Context()); err == nil || strings.Contains(err.Error(), "key-of-ours") {
		t.Errorf("a redirect: %v", err)
	}
	server.Close()
	if err := p.beat(t.Context()); err == nil || strings.Contains(err.Error()+log.String(), "key-of-ours") {
		t.Errorf("the receiver is gone: %v", err)
	}
}

func TestAHeartbeatIsChecked(t *testing.T) {
	for _, c := range []Heartbeat{{}, {URL: secret.New("ftp://example.com")}, {URL: secret.New("https://example.com"), Interval: 1e9}} {
		if _, err := newPulse(&c, nil, nil); err == nil {
			t.Errorf("%v is taken", c)
		}
	}
}
