package store_test

import (
	"context"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/midwatch-slo/midwatch/store"
)

// leaving is a context that ends when it is asked the nth time whether it has.
type leaving struct {
	context.Context
	cancel context.CancelFunc
	asked  atomic.Int64
	n      int64
}

func (l *leaving) Done() <-chan struct{} {
	if l.asked.Add(1) == l.n {
		l.cancel()
		for range 1000 { // whoever watches it sees that
			runtime.Gosched()
		}
	}
	return l.Context.Done()
}

// Wherever a reader gives up, all connections serve the next ones.
func TestAReaderThatGivesUpLeavesTheStoreWhole(t *testing.T) {
	for name, c := range map[string]store.Config{
		"sqlite":     {Path: filepath.Join(t.TempDir(), "midwatch.db")},
		"postgresql": {URL: newDatabases(t).url(t)},
	} {
		t.Run(name, func(t *testing.T) {
			s := openAny(t, c)
			defer s.Close()
			read := func(tx *store.Tx) error {
				_, err := tx.ListIncidents(true, 10)
				return err
			}
			for i := range int64(200) {
				ctx, cancel := context.WithCancel(t.Context())
				_ = s.View(&leaving{Context: ctx, cancel: cancel, n: i%40 + 1}, read) // it may be too late to give up
				cancel()
			}
			for range 8 { // more than there are connections
				if err := s.View(t.Context(), read); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
