package wecom

import (
	"slices"
	"sync"
)

// recent remembers the newest values by their keys, at most limit of them. It
// may be used from several goroutines.
type recent[V any] struct {
	limit int

	mu    sync.Mutex
	of    map[string]V
	order []string // keys, oldest first
}

func newRecent[V any](limit int) *recent[V] { return &recent[V]{limit: limit, of: map[string]V{}} }

func (r *recent[V]) get(key string) (V, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.of[key]
	return v, ok
}

// put keeps a value, and lets the oldest go when there are too many.
func (r *recent[V]) put(key string, v V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(key, v)
}

func (r *recent[V]) set(key string, v V) {
	if _, known := r.of[key]; !known {
		r.order = append(r.order, key)
	}
	r.of[key] = v
	if len(r.order) > r.limit {
		delete(r.of, r.order[0])
		r.order = slices.Delete(r.order, 0, 1)
	}
}

// swap keeps a value and returns the one that was there.
func (r *recent[V]) swap(key string, v V) (before V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, ok = r.of[key]
	r.set(key, v)
	return before, ok
}

func (r *recent[V]) remove(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.of[key]; known {
		delete(r.of, key)
		r.order = slices.DeleteFunc(r.order, func(k string) bool { return k == key })
	}
}
