package app

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/midwatch-slo/midwatch/oncall"
	"github.com/midwatch-slo/midwatch/oncall/ical"
	"github.com/midwatch-slo/midwatch/store"
)

// Marks of the store: which calendars it has, each of them, and when the
// server last said that it is still so.
const (
	feedsMark    = "calendars"
	feedMark     = "calendar/"
	feedSeenMark = "calendar_seen/"
)

// maxKept bounds what is kept of one calendar in the store, in bytes.
const maxKept = 1 << 20

// load reads from the store the calendars that are not in memory, and forgets
// there those that no feed names any more.
func (f *feeds) load(ctx context.Context, all []oncall.Feed) error {
	keys := []string{}
	for _, one := range all {
		if key := feedKey(one); !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	err := f.store.Update(ctx, func(tx *store.Tx) error {
		if err := forget(tx, keys); err != nil {
			return err
		}
		for _, key := range keys {
			if err := f.loadOne(tx, key); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read calendars: %w", err)
	}
	return nil
}

// loadOne reads one calendar; one that is damaged is as good as none.
func (f *feeds) loadOne(tx *store.Tx, key string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if k := f.kept[key]; k != nil && k.Content != nil {
		return nil
	}
	text, err := tx.Mark(feedMark + key)
	if err != nil || text == "" {
		return err
	}
	seen, err := tx.Mark(feedSeenMark + key)
	if err != nil {
		return err
	}
	k, err := unpack(text)
	if err != nil {
		f.logger.Error("a calendar that was kept is damaged", "err", err)
		return nil
	}
	if at, err := time.Parse(time.RFC3339, seen); err == nil && at.After(k.Seen) {
		k.Seen = at
	}
	f.kept[key] = &k
	return nil
}

// forget empties what is kept of calendars other than these.
func forget(tx *store.Tx, keys []string) error {
	text, err := tx.Mark(feedsMark)
	if err != nil {
		return err
	}
	var before []string
	if json.Unmarshal([]byte(text), &before) != nil || slices.Equal(before, keys) {
		before = nil
	}
	for _, key := range before {
		if slices.Contains(keys, key) {
			continue
		}
		for _, mark := range []string{feedMark, feedSeenMark} {
			if err := tx.SetMark(mark+key, ""); err != nil {
				return err
			}
		}
	}
	now, err := json.Marshal(keys)
	if err != nil || string(now) == text || text == "" && len(keys) == 0 {
		return err
	}
	return tx.SetMark(feedsMark, string(now))
}

// keep writes a calendar into the store, or only when it was seen.
func (f *feeds) keep(ctx context.Context, key string, k keptFeed, changed bool) error {
	var text string
	if changed {
		var err error
		if text, err = k.pack(); err != nil {
			return err
		}
	}
	return f.store.Update(ctx, func(tx *store.Tx) error {
		if changed {
			if err := tx.SetMark(feedMark+key, text); err != nil {
				return err
			}
		}
		return tx.SetMark(feedSeenMark+key, k.Seen.Format(time.RFC3339))
	})
}

// pack writes a calendar as text.
func (k keptFeed) pack() (string, error) {
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	if _, err := z.Write(k.Content); err != nil {
		return "", fmt.Errorf("compress calendar: %w", err)
	}
	if err := z.Close(); err != nil {
		return "", fmt.Errorf("compress calendar: %w", err)
	}
	k.Content = small.Bytes()
	text, err := json.Marshal(k)
	if err == nil && len(text) > maxKept {
		err = fmt.Errorf("it has more than %d bytes", maxKept)
	}
	return string(text), err
}

func unpack(text string) (k keptFeed, err error) {
	if err := json.Unmarshal([]byte(text), &k); err != nil {
		return k, fmt.Errorf("read calendar: %w", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(k.Content))
	if err != nil {
		return k, fmt.Errorf("read calendar: %w", err)
	}
	if k.Content, err = io.ReadAll(io.LimitReader(z, ical.MaxSize)); err != nil {
		return k, fmt.Errorf("read calendar: %w", err)
	}
	return k, nil
}
