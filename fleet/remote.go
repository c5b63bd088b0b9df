package fleet

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote"
)

const (
	// flushDeadline is how long samples may take to be written at the end.
	flushDeadline = 10 * time.Second
	// remoteAge is how old a sample may be and still be written: what is
	// backfilled is not.
	remoteAge = model.Duration(time.Hour)
)

// remoteWrite writes what is recorded to remote storages, while this replica
// leads.
type remoteWrite struct {
	storage *remote.Storage
	configs []*config.RemoteWriteConfig
	applied bool // only of the one goroutine
}

func newRemoteWrite(f *Fleet, r prometheus.Registerer) *remoteWrite {
	w := &remoteWrite{applied: true}
	if len(f.c.RemoteWrite) == 0 {
		return w
	}
	for _, c := range f.c.RemoteWrite {
		one := *c
		if one.QueueConfig.SampleAgeLimit == 0 {
			one.QueueConfig.SampleAgeLimit = remoteAge
		}
		one.MetadataConfig.Send = false // of what is recorded there is none
		w.configs = append(w.configs, &one)
	}
	w.applied = false
	w.storage = remote.NewStorage(f.log, r, f.db.StartTime, f.db.Dir(), flushDeadline, nil, false)
	f.db.SetWriteNotified(w.storage)
	return w
}

// apply begins to write, or ends it.
func (w *remoteWrite) apply(leads bool) error {
	if w.storage == nil {
		return nil
	}
	c := &config.Config{}
	if leads {
		c.RemoteWriteConfigs = w.configs
	}
	err := w.storage.ApplyConfig(c)
	w.applied = err == nil
	return err
}

func (w *remoteWrite) close() error {
	if w.storage == nil {
		return nil
	}
	return w.storage.Close()
}
