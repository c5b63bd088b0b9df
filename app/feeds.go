package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	build "github.com/midwatch-slo/midwatch/internal/version"
	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/oncall/ical"
	"github.com/midwatch-slo/midwatch/store"
)

const (
	// feedTimeout is how long fetching one calendar may take, and
	// feedPatience how long a start or a reload waits for those never seen.
	feedTimeout  = 20 * time.Second
	feedPatience = 5 * time.Second
	// feedTick is how often it is looked which calendars are due, feedRetry
	// when one is fetched again that was not to be had.
	feedTick  = 10 * time.Second
	feedRetry = time.Minute
	// feedOld is the age from which a calendar that is kept is an error.
	feedOld = 24 * time.Hour

	feedsAtOnce  = 4
	maxRedirects = 5
	maxValidator = 1024 // bytes of an ETag
)

// feeds keeps the calendars that layers take their shifts from: in memory and
// in the store, so that after a restart without a network it is still known
// who is on call.
type feeds struct {
	store  *store.Store // nil: nothing is kept
	client *http.Client
	logger *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	kept    map[string]*keptFeed // by the key of the URL
	version int64                // of all of them: another one when one is another
}

// keptFeed is the last good copy of a calendar.
type keptFeed struct {
	Content  []byte    `json:"content"`
	ETag     string    `json:"etag,omitempty"`
	Modified string    `json:"modified,omitempty"` // as the server writes it
	Seen     time.Time `json:"seen"`               // when the server last said that it is so

	due    time.Time
	parsed map[string]*ical.Source // by the zone of times that name none
}

func newFeeds(s *store.Store, log *slog.Logger) *feeds {
	return &feeds{
		store: s, logger: log, now: time.Now, kept: map[string]*keptFeed{},
		client: &http.Client{
			Timeout:       feedTimeout,
			Transport:     &http.Transport{Proxy: http.ProxyFromEnvironment, IdleConnTimeout: time.Minute},
			CheckRedirect: followSafely,
		},
	}
}

// followSafely lets a redirect lead neither away from TLS nor in circles.
func followSafely(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case req.URL.Scheme != "https" && via[0].URL.Scheme == "https":
		return errors.New("it redirects from https to " + req.URL.Scheme)
	}
	return nil
}

// feedKey is what a calendar is called where its URL must not be seen.
func feedKey(f oncall.Feed) string {
	sum := sha256.Sum256([]byte(f.URL.Reveal()))
	return hex.EncodeToString(sum[:16])
}

// sources returns the calendars that are known, by the IDs of their feeds.
func (f *feeds) sources(all []oncall.Feed) map[string]*ical.Source {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[string]*ical.Source{}
	for _, one := range all {
		k := f.kept[feedKey(one)]
		if k == nil || k.Content == nil {
			continue
		}
		source, err := k.source(one.Zone)
		if err != nil { // it was read before, maybe by an older Midwatch
			f.logger.Error("calendar that was kept is not read", "schedule", one.Schedule, "layer", one.Layer, "err", err)
			continue
		}
		known[one.ID] = source
	}
	return known
}

// source returns the calendar, its times without a zone in one.
func (k *keptFeed) source(zone *time.Location) (*ical.Source, error) {
	if s, ok := k.parsed[zone.String()]; ok {
		return s, nil
	}
	s, err := ical.Read(bytes.NewReader(k.Content), zone)
	if err != nil {
		return nil, err
	}
	if k.parsed == nil {
		k.parsed = map[string]*ical.Source{}
	}
	k.parsed[zone.String()] = s
	return s, nil
}

// current returns the version of the calendars.
func (f *feeds) current() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.version
}

// refresh fetches the calendars that are due, only those never seen when
// missing is set, and tells whether anything is new. What goes wrong is
// logged, and the last good copy stays.
func (f *feeds) refresh(ctx context.Context, all []oncall.Feed, missing bool) (changed bool) {
	var group errgroup.Group
	group.SetLimit(feedsAtOnce)
	var mu sync.Mutex
	for _, one := range f.due(all, missing) {
		group.Go(func() error {
			fresh := f.renew(ctx, one)
			mu.Lock()
			defer mu.Unlock()
			changed = changed || fresh
			return nil
		})
	}
	_ = group.Wait() // each logs what goes wrong
	return changed
}

// due returns one feed of each URL that is to be fetched now, the one that is
// fetched most often.
func (f *feeds) due(all []oncall.Feed, missing bool) (due []oncall.Feed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chosen := map[string]int{}
	for _, one := range all {
		key := feedKey(one)
		k := f.kept[key]
		if i, ok := chosen[key]; ok {
			due[i].Refresh = min(due[i].Refresh, one.Refresh)
			continue
		}
		if k == nil || !missing && !f.now().Before(k.due) || missing && k.Content == nil {
			chosen[key] = len(due)
			due = append(due, one)
		}
	}
	return due
}

// renew fetches one calendar and tells whether it is another than before.
func (f *feeds) renew(ctx context.Context, one oncall.Feed) (changed bool) {
	key := feedKey(one)
	f.mu.Lock()
	var before keptFeed
	if k := f.kept[key]; k != nil {
		before = *k
	}
	f.mu.Unlock()
	after, err := f.fetch(ctx, one, before)
	if err != nil {
		f.complain(ctx, one, before, err)
		after = before
		if ctx.Err() == nil { // else nobody waited to the end
			after.due = f.now().Add(min(feedRetry, one.Refresh))
		}
	} else {
		after.due = f.now().Add(one.Refresh)
	}
	f.mu.Lock()
	f.kept[key] = &after
	if changed = !bytes.Equal(before.Content, after.Content); changed {
		f.version++
	}
	f.mu.Unlock()
	if err == nil && f.store != nil {
		if err := f.keep(ctx, key, after, changed); err != nil && ctx.Err() == nil {
			f.logger.ErrorContext(ctx, "calendar is not kept for a restart", "schedule", one.Schedule, "layer", one.Layer, "err", err)
		}
	}
	return changed
}

// complain logs that a calendar was not to be had, as loudly as it is old.
func (f *feeds) complain(ctx context.Context, one oncall.Feed, before keptFeed, err error) {
	log := f.logger.With("schedule", one.Schedule, "layer", one.Layer, "err", one.URL.Redact(err.Error()))
	switch {
	case ctx.Err() != nil && before.Content != nil:
	case before.Content == nil:
		log.ErrorContext(ctx, "calendar was never fetched, so nobody is on call by it")
	case f.now().Sub(before.Seen) > feedOld:
		log.ErrorContext(ctx, "calendar is older than a day", "seen", before.Seen)
	default:
		log.WarnContext(ctx, "calendar is not fetched", "seen", before.Seen)
	}
}

// fetch asks for a calendar, unless it is as before.
func (f *feeds) fetch(ctx context.Context, one oncall.Feed, before keptFeed) (after keptFeed, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, one.URL.Reveal(), http.NoBody)
	if err != nil {
		return after, errors.New("its URL is not one") // the error would repeat it
	}
	req.Header.Set("Accept", "text/calendar")
	req.Header.Set("User-Agent", "midwatch/"+build.Version)
	if before.Content != nil {
		validate(req.Header, before)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return after, discreetly(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && before.Content != nil:
		before.Seen = f.now().UTC()
		return before, nil
	case resp.StatusCode != http.StatusOK:
		return after, fmt.Errorf("the server answers %d", resp.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, ical.MaxSize+1))
	if err != nil {
		return after, fmt.Errorf("read its answer: %w", discreetly(err))
	}
	after = keptFeed{Content: content, ETag: validator(resp, "ETag"), Modified: validator(resp, "Last-Modified"), Seen: f.now().UTC()}
	if bytes.Equal(before.Content, content) {
		after.parsed = before.parsed
	}
	_, err = after.source(one.Zone)
	return after, err
}

// validate asks for a calendar only if it is another.
func validate(h http.Header, before keptFeed) {
	if before.ETag != "" {
		h.Set("If-None-Match", before.ETag)
	}
	if before.Modified != "" {
		h.Set("If-Modified-Since", before.Modified)
	}
}

func validator(resp *http.Response, name string) string {
	if v := resp.Header.Get(name); len(v) <= maxValidator {
		return v
	}
	return ""
}

// prepareFeeds lays the calendars that are known over the roster of a state,
// and waits a while for those never seen.
func (a *App) prepareFeeds(ctx context.Context, s *state) {
	all := s.roster.Feeds()
	if err := a.feeds.load(ctx, all); err != nil {
		a.o.Logger.ErrorContext(ctx, "calendars that were kept are not read", "err", err)
	}
	waiting, cancel := context.WithTimeout(ctx, feedPatience)
	defer cancel()
	a.feeds.refresh(waiting, all, true)
	a.layFeeds(ctx, s)
	s.duty.Store(s.fed.Load())
}

// layFeeds lays the calendars that are known over the roster of a state, and
// logs what in them names nobody.
func (a *App) layFeeds(ctx context.Context, s *state) {
	s.laid.Store(a.feeds.current()) // before they are read: one that comes meanwhile is laid again
	fed := s.roster.WithFeeds(a.feeds.sources(s.roster.Feeds()))
	s.fed.Store(fed)
	for _, found := range fed.LintCalendars(time.Now(), oncall.Horizon) {
		a.o.Logger.WarnContext(ctx, "calendar", "problem", found.Message, "hint", found.Hint)
	}
}

// watchFeeds fetches calendars when they are due, until ctx ends.
func (a *App) watchFeeds(ctx context.Context) {
	tick := time.NewTicker(feedTick)
	defer tick.Stop()
	defer a.feeds.client.CloseIdleConnections()
	for {
		a.feeds.refresh(ctx, a.current.Load().roster.Feeds(), false)
		// A reload may have put another state in force meanwhile.
		if s := a.current.Load(); s.laid.Load() != a.feeds.current() {
			a.layFeeds(ctx, s)
			if err := a.refreshOverrides(ctx); err != nil && ctx.Err() == nil {
				a.o.Logger.ErrorContext(ctx, "who is on call may not be up to date", "err", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// feedAge tells how old the calendars are.
type feedAge struct {
	app  *App
	desc *prometheus.Desc
}

func newFeedAge(a *App) feedAge {
	return feedAge{a, prometheus.NewDesc("midwatch_oncall_calendar_last_success_timestamp_seconds",
		"When the calendar of a layer was last fetched, in seconds since 1970; 0 for never.", []string{"schedule", "layer"}, nil)}
}

// Describe implements prometheus.Collector.
func (f feedAge) Describe(to chan<- *prometheus.Desc) { to <- f.desc }

// Collect implements prometheus.Collector.
func (f feedAge) Collect(to chan<- prometheus.Metric) {
	seen := map[[2]string]float64{} // a temporary layer may be called like a usual one
	for _, one := range f.app.current.Load().roster.Feeds() {
		seen[[2]string{one.Schedule, one.Layer}] = f.app.feeds.seen(one)
	}
	for of, at := range seen {
		to <- prometheus.MustNewConstMetric(f.desc, prometheus.GaugeValue, at, of[0], of[1])
	}
}

// seen returns when a calendar was last fetched, in seconds since 1970.
func (f *feeds) seen(one oncall.Feed) float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := f.kept[feedKey(one)]
	if k == nil || k.Content == nil {
		return 0
	}
	return float64(k.Seen.UnixMilli()) / 1000
}

// FetchCalendars returns a roster with the calendars that its layers name by a
// URL, fetched once, as a command does that does not go on running. The error
// names the layers whose calendars are not to be had; the roster is good all
// the same, without them.
func FetchCalendars(ctx context.Context, roster *oncall.Roster) (*oncall.Roster, error) {
	all := roster.Feeds()
	f := newFeeds(nil, slog.New(slog.DiscardHandler))
	defer f.client.CloseIdleConnections()
	calendars := map[string]*ical.Source{}
	var errs []error
	for _, one := range all {
		got, err := f.fetch(ctx, one, keptFeed{})
		if err != nil {
			errs = append(errs, fmt.Errorf("fetch the calendar of layer %q in %q: %s", one.Layer, one.Schedule, one.URL.Redact(err.Error())))
			continue
		}
		calendars[one.ID] = got.parsed[one.Zone.String()]
	}
	return roster.WithFeeds(calendars), errors.Join(errs...)
}
