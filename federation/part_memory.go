package federation

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// memoryTTL is how long a plan is not tried again that did not hold.
	memoryTTL = 5 * time.Minute
	// memorySize bounds how many are remembered.
	memorySize = 4096
)

// memory remembers which parts did not hold, so that whoever asks again does
// not pay for two runs again.
type memory struct {
	seed maphash.Seed

	mu    sync.Mutex
	until map[uint64]time.Time // by hash of what did not hold
}

func newMemory() *memory {
	return &memory{seed: maphash.MakeSeed(), until: map[uint64]time.Time{}}
}

// remember notes that something did not hold.
func (m *memory) remember(cluster, text string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.until) >= memorySize {
		m.forget(now)
	}
	m.until[m.hash(cluster, text)] = now.Add(memoryTTL)
}

// forget makes room: what has expired goes, or else any half. The caller
// holds the lock.
func (m *memory) forget(now time.Time) {
	for key, until := range m.until {
		if now.After(until) {
			delete(m.until, key)
		}
	}
	for key := range m.until {
		if len(m.until) <= memorySize/2 {
			return
		}
		delete(m.until, key)
	}
}

// knows tells whether something did not hold a short while ago.
func (m *memory) knows(cluster, text string, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.until) == 0 {
		return false
	}
	until, ok := m.until[m.hash(cluster, text)]
	return ok && now.Before(until)
}

func (m *memory) hash(cluster, text string) uint64 {
	var h maphash.Hash
	h.SetSeed(m.seed)
	_, _ = h.WriteString(cluster) // never fails
	_ = h.WriteByte(0)
	_, _ = h.WriteString(text)
	return h.Sum64()
}
