package incident_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/incident"
)

func watchdog(cluster string) alert.Alert {
	return alert.Alert{
		Labels: model.LabelSet{"alertname": "Watchdog", "cluster": model.LabelValue(cluster), "severity": "none"},
		State:  alert.Firing,
	}
}

func TestAClusterThatFallsSilentIsSaid(t *testing.T) {
	s := newTimeline(t)
	s.config.Watch = []incident.Watch{{Cluster: "hangzhou"}, {Cluster: "beijing", Timeout: 10 * time.Minute}}
	s.Keep(Between(1, 7), watchdog("hangzhou"))
	s.Keep(Between(1, 40), watchdog("beijing"))
	s.Push(2, with(watchdog("hangzhou"), "alertname", "Other")) // an alert like any other
	s.Do(7, "beats", func(ctx context.Context, e *incident.Engine) error {
		beats, err := e.Beats(ctx)
		if want := epoch.Add(At(7).duration()); !beats["hangzhou"].Equal(want) || !beats["beijing"].Equal(want) {
			t.Errorf("beats %v", beats)
		}
		return err
	})
	s.Incidents(7, 1)
	s.Want(Between(12, 12.01), "opened zhang/wecom #2") // five minutes after the last
	s.Want(Between(27, 27.01), "again zhang/wecom #2")
	s.Status(35, 2, alert.Open, alert.P2, false) // it does not expire
	s.Inspect(35, 2, func(inc alert.Incident) error {
		if inc.Title != "hangzhou cannot alert" || inc.Service != "midwatch" || len(inc.Alerts) != 1 {
			return fmt.Errorf("it is %+v", inc)
		}
		return nil
	})
	s.Push(36, watchdog("hangzhou"))
	s.Want(Between(36, 36.01), "resolved zhang/wecom #2")
	s.Run(40)
}

func TestAClusterThatWasNeverHeardHasTimeFromTheStart(t *testing.T) {
	s := newTimeline(t)
	s.config.Watch = []incident.Watch{{Cluster: "hangzhou"}, {Cluster: "beijing"}}
	s.Want(Between(5, 5.01), "opened zhang/wecom #1", "opened zhang/wecom #2") // an incident each
	s.Do(6, "nobody watches any more", func(ctx context.Context, e *incident.Engine) error {
		return e.SetRules(ctx, nil, []incident.Watch{{Cluster: "beijing"}})
	})
	s.Push(7, watchdog("beijing"))
	s.Want(Between(7, 7.01), "resolved zhang/wecom #1")
	s.Run(8)
}

// What a cluster said before it fell silent is muted but for what is more
// urgent than that.
func TestASilentClusterInhibitsItsSymptoms(t *testing.T) {
	s := newTimeline(t)
	s.config.Watch = []incident.Watch{{Cluster: "hangzhou"}}
	s.config.Inhibit = incident.DefaultInhibitions([]string{"1h5m", "6h30m", "1d2h", "3d6h"}, nil)
	s.Push(1, burning("payment-latency", alert.P2, "hangzhou"))
	s.Want(Between(1, 1.01), "opened zhang/wecom #1")
	s.Want(Between(5, 5.01), "opened zhang/wecom #2")
	s.Push(6, burning(availability, alert.P1, "hangzhou"))
	s.Want(Between(6, 6.01), "opened zhang/wecom #3", "opened zhang/email #3")
	s.Acknowledge(6.5, 3)
	s.Muted(16.5, 1, "inhibited: its cluster cannot alert") // since its second round was due
	s.Push(17, watchdog("hangzhou"))
	s.Want(Between(17, 17.01), "resolved zhang/wecom #2", "again zhang/wecom #1")
	s.Run(17.5)
}

// A new replica, or one that was away, gives clusters time; one that says
// already that a cluster is silent goes on.
func TestAnotherReplicaDoesNotDoubtTheFirst(t *testing.T) {
	s := newTimeline(t)
	watch := []incident.Watch{{Cluster: "hangzhou"}}
	s.config.Watch = watch
	stop, done := context.CancelFunc(nil), make(chan error, 1)
	s.Push(1, watchdog("hangzhou"))
	s.Do(5, "another replica", func(ctx context.Context, _ *incident.Engine) error {
		other, err := incident.New(incident.Config{Store: s.ledger, Responders: s.rota, Sender: s, Logger: discard(), Watch: watch})
		if err != nil {
			return err
		}
		ctx, stop = context.WithCancel(ctx)
		go func() { done <- other.Run(ctx) }()
		return nil
	})
	s.Want(Between(6, 6.01), "opened zhang/wecom #1")
	s.Inspect(15, 1, func(inc alert.Incident) error {
		if inc.Status != alert.Open || len(inc.Alerts) != 1 || inc.Alerts[0].State != alert.Firing {
			return fmt.Errorf("it is %+v", inc)
		}
		return nil
	})
	s.Push(16, watchdog("hangzhou"))
	s.Want(Between(16, 16.3), "resolved zhang/wecom #1")
	s.Incidents(19, 1)
	s.Do(19, "stop", func(context.Context, *incident.Engine) error { stop(); return <-done })
	s.Run(20)
}

func TestHealth(t *testing.T) {
	s := newTimeline(t)
	l := openLedger(t)
	idle, err := incident.New(incident.Config{Store: l, Responders: s.rota, Sender: s, Logger: discard()})
	if err != nil {
		t.Fatal(err)
	}
	if err := idle.Healthy(t.Context()); err == nil {
		t.Error("an engine that does not run is healthy")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Do(3, "health", func(ctx context.Context, e *incident.Engine) error { return e.Healthy(ctx) })
	s.Do(4, "a watch twice", func(ctx context.Context, e *incident.Engine) error {
		if err := e.SetRules(ctx, nil, []incident.Watch{{Cluster: "a"}, {Cluster: "a"}}); err == nil {
			return errors.New("accepted")
		}
		return nil
	})
	s.Run(5)
}
