package correlate

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

func fixed(e page.Evidence) func(context.Context, alert.Incident) page.Evidence {
	return func(context.Context, alert.Incident) page.Evidence { return e }
}

func TestCollectReturnsWhatThereIsWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		c := Collector{Logger: slog.New(slog.DiscardHandler), Sources: []Source{
			{"deaf", func(context.Context, alert.Incident) page.Evidence {
				<-release
				return page.Evidence{}
			}},
			{"logs", fixed(page.Evidence{Link: "https://grafana.example.com"})},
			{"slow", func(ctx context.Context, _ alert.Incident) page.Evidence {
				<-ctx.Done()
				return page.Evidence{Problem: "read half", Link: "half"}
			}},
			{"broken", func(context.Context, alert.Incident) page.Evidence { panic("boom") }},
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		start := time.Now()
		got := c.Collect(ctx, alert.Incident{ID: 1})
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("took %s", took)
		}
		want := []page.Evidence{
			{Source: "deaf", Problem: "no answer within 3s"},
			{Source: "logs", Link: "https://grafana.example.com"},
			{Source: "slow", Problem: "read half", Link: "half"},
			{Source: "broken", Problem: "failed inside; see Midwatch's log"},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		close(release)
	})
}

func TestCollectReturnsAtOnceWhenAllHaveAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := func(d time.Duration) func(context.Context, alert.Incident) page.Evidence {
			return func(context.Context, alert.Incident) page.Evidence {
				<-time.After(d)
				return page.Evidence{}
			}
		}
		c := Collector{Logger: slog.New(slog.DiscardHandler), Sources: []Source{
			{"a", wait(200 * time.Millisecond)}, {"b", wait(300 * time.Millisecond)},
		}}
		start := time.Now()
		c.Collect(t.Context(), alert.Incident{})
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("took %s", took)
		}
	})
}
