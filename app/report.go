package app

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/robfig/cron/v3"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
	"github.com/midwatch-slo/midwatch/report"
	"github.com/midwatch-slo/midwatch/store"
)

// Report says when the weekly report is sent, and to whom.
type Report struct {
	Schedule string          `yaml:"schedule"` // cron; default "0 9 * * mon"
	Timezone string          `yaml:"timezone"` // of the schedule, and of days and nights in it; default UTC
	Language string          `yaml:"language"` // zh or en; default en
	Span     model.Duration  `yaml:"span"`     // that it tells of; default 7d
	To       []ReportAddress `yaml:"to"`
}

// ReportAddress is a channel and an address in it.
type ReportAddress struct {
	Channel string `yaml:"channel"`
	Address string `yaml:"address"`
}

func (r *Report) validate(at func(field, message, hint string)) {
	if r.Schedule == "" {
		r.Schedule = "0 9 * * mon"
	}
	setDefault(&r.Span, model.Duration(7*24*time.Hour))
	if strings.Contains(r.Schedule, "TZ=") || strings.HasPrefix(r.Schedule, "@every") {
		at("report.schedule", "want five fields: minute, hour, day of month, month, weekday", "the report has a timezone of its own")
	} else if _, err := cron.ParseStandard(r.Schedule); err != nil {
		at("report.schedule", err.Error(), `such as "0 9 * * mon"`)
	}
	if _, err := time.LoadLocation(r.Timezone); err != nil || r.Timezone == "Local" {
		at("report.timezone", fmt.Sprintf("%q is no time zone", r.Timezone), "such as Asia/Shanghai")
	}
	if r.Language != "" && r.Language != "zh" && r.Language != "en" {
		at("report.language", fmt.Sprintf("%q is none of zh, en", r.Language), "")
	}
	if len(r.To) == 0 {
		at("report.to", "missing", "such as [{channel: email, address: sre@example.com}]")
	}
}

// Bounds of sending a report.
const (
	reportTries = 6
	reportPause = 30 * time.Second // doubled after each try
	lookAtClock = 30 * time.Second // a reload may have changed the schedule
	reportGrace = 15 * time.Minute // a report that was due while nothing ran is still sent for so long
)

// reports sends the report when it is due, once over all replicas, until ctx
// ends.
func (a *App) reports(ctx context.Context) {
	last := time.Now().Add(-reportGrace)
	tick := time.NewTicker(lookAtClock)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-tick.C:
			if due, ok := a.reportDue(last, at); ok {
				if err := a.sendReport(ctx, due); err != nil {
					a.o.Logger.ErrorContext(ctx, "weekly report put off", "err", err)
					continue
				}
			}
			last = at
		}
	}
}

// reportDue returns the instant between two at which the report was due.
func (a *App) reportDue(after, upTo time.Time) (time.Time, bool) {
	r := a.current.Load().config.Report
	if r == nil {
		return time.Time{}, false
	}
	spec, err := cron.ParseStandard(r.Schedule)
	if err != nil {
		return time.Time{}, false
	}
	due := spec.Next(after.In(r.location()))
	return due.UTC(), !due.IsZero() && !due.After(upTo)
}

func (r *Report) location() *time.Location {
	loc, err := time.LoadLocation(r.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// sendReport sends the report that is due, unless another replica does. The
// error says why nothing was begun.
func (a *App) sendReport(ctx context.Context, due time.Time) error {
	pages, err := a.reportPages(ctx, due)
	if err != nil {
		return err
	}
	mine := false
	err = a.store.Update(ctx, func(tx *store.Tx) (err error) {
		mine, err = tx.Once("report", due)
		return err
	})
	if err != nil {
		return fmt.Errorf("begin weekly report: %w", err)
	}
	if !mine {
		return nil
	}
	for _, p := range pages {
		if err := a.deliverReport(ctx, p); err != nil {
			a.o.Logger.ErrorContext(ctx, "send weekly report", "channel", p.To.Channel, "err", err)
		}
	}
	return nil
}

// deliverReport sends a report, again and again for a while where the channel
// says that it may go through.
func (a *App) deliverReport(ctx context.Context, p page.Page) (err error) {
	pause := reportPause
	for p.Attempt = 1; p.Attempt <= reportTries; p.Attempt++ {
		if _, err = a.current.Load().senders.Send(ctx, p); err == nil {
			return nil
		}
		after, again := page.Retry(err)
		if !again {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(after, pause)):
			pause *= 2
		}
	}
	return err
}

// reportPages composes the report that is due at an instant.
func (a *App) reportPages(ctx context.Context, due time.Time) ([]page.Page, error) {
	s := a.current.Load()
	r := s.config.Report
	if r == nil {
		return nil, nil
	}
	f := report.Figures{From: due.Add(-time.Duration(r.Span)), Until: due}
	err := books{store: a.store, federation: s.federation, slos: s.slos}.fill(ctx, &f)
	if err != nil {
		return nil, err
	}
	reader := report.Reader{Language: r.Language, Location: r.location()}
	var pages []page.Page
	for i, to := range r.To {
		pages = append(pages, page.Page{
			Key:  fmt.Sprintf("report/%d/%d", due.Unix(), i),
			Kind: page.Report, At: due, Body: f.Text(reader), Link: s.config.ExternalURL,
			Incident: alert.Incident{Title: f.Title(reader), Level: alert.Info},
			To:       page.Contact{Channel: to.Channel, Address: to.Address, Timezone: r.Timezone, Language: r.Language},
		})
	}
	return pages, nil
}
