package wecom

import (
	"slices"
	"sync"
)

// maxDoubts bounds how many messages are remembered.
const maxDoubts = 1000

// doubts keeps the messages of which nobody knows whether they arrived, by
// the keys of their pages. The provider recognises the same request only, and
// the same page told later has other numbers in it.
type doubts struct {
	mu     sync.Mutex
	bodies map[string][]byte
	order  []string // keys, oldest first
}

func newDoubts() *doubts { return &doubts{bodies: map[string][]byte{}} }

// body returns what was sent for a page, nil when that is not in doubt.
func (d *doubts) body(key string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.bodies[key]
}

func (d *doubts) add(key string, body []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.bodies[key]; !known {
		d.order = append(d.order, key)
	}
	d.bodies[key] = body
	if len(d.order) > maxDoubts {
		delete(d.bodies, d.order[0])
		d.order = slices.Delete(d.order, 0, 1)
	}
}

func (d *doubts) remove(key string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.bodies[key]; known {
		delete(d.bodies, key)
		d.order = slices.DeleteFunc(d.order, func(k string) bool { return k == key })
	}
}
