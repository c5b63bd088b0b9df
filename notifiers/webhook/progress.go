package webhook

import "sync"

// maxProgress bounds how many unfinished bundles are remembered.
const maxProgress = 1000

// standing is how far a bundle has come.
type standing struct {
	next    int     // the first of its incidents that has not been answered
	refused []error // of those before it
}

// progress keeps how far unfinished bundles have come, by their keys. What is
// forgotten is sent again, with the same keys.
type progress struct {
	mu   sync.Mutex
	done map[string]standing
}

func newProgress() *progress { return &progress{done: map[string]standing{}} }

func (p *progress) of(key string) standing {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done[key]
}

func (p *progress) set(key string, s standing) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.done) >= maxProgress {
		clear(p.done)
	}
	p.done[key] = s
}

func (p *progress) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.done, key)
}
