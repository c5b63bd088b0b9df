package email

import "sync"

// maxTaken is how many mails are remembered.
const maxTaken = 4096

// taken remembers the newest mails that the server has taken. It may be used
// from several goroutines.
type taken struct {
	mu    sync.Mutex
	known map[string]bool
	order []string // oldest first
}

func newTaken() *taken { return &taken{known: map[string]bool{}} }

func (t *taken) has(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.known[name]
}

func (t *taken) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known[name] {
		return
	}
	t.known[name] = true
	if t.order = append(t.order, name); len(t.order) > maxTaken {
		delete(t.known, t.order[0])
		t.order = t.order[1:]
	}
}
