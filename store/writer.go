package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// Bounds of the updates that share one commit.
const (
	maxBatch = 256
	maxLater = 16 // of those that let others go first
)

// writer runs updates one after another, in transactions that it syncs once
// for all updates that were waiting.
type writer struct {
	session session
	tx      func(context.Context, session) *Tx
	ctx     context.Context // of the statements: a caller that leaves must not break the others' transaction
	queue   chan *update
	later   chan *update  // what lets those in queue go first
	done    chan struct{} // closed when the last update is answered

	mu      sync.RWMutex // held while sending to a queue
	stopped bool
}

type update struct {
	ctx    context.Context
	f      func(*Tx) error
	err    error
	answer chan error
}

func startWriter(ctx context.Context, s session, tx func(context.Context, session) *Tx) *writer {
	w := &writer{session: s, tx: tx, ctx: context.WithoutCancel(ctx), queue: make(chan *update, maxBatch), later: make(chan *update, maxBatch), done: make(chan struct{})}
	go w.run()
	return w
}

func (w *writer) do(ctx context.Context, f func(*Tx) error) error { return w.wait(ctx, w.queue, f) }

func (w *writer) doLater(ctx context.Context, f func(*Tx) error) error {
	return w.wait(ctx, w.later, f)
}

func (w *writer) wait(ctx context.Context, in chan<- *update, f func(*Tx) error) error {
	u := &update{ctx: ctx, f: f, answer: make(chan error, 1)}
	if err := w.enqueue(in, u); err != nil {
		return err
	}
	return <-u.answer
}

func (w *writer) enqueue(in chan<- *update, u *update) error {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.stopped {
		return ErrClosed
	}
	select {
	case in <- u:
		return nil
	case <-u.ctx.Done():
		return fmt.Errorf("write to store: %w", u.ctx.Err())
	}
}

// stop refuses further updates and returns when those accepted are answered.
func (w *writer) stop() {
	w.mu.Lock()
	if !w.stopped {
		w.stopped = true
		close(w.queue)
		close(w.later)
	}
	w.mu.Unlock()
	<-w.done
}

func (w *writer) run() {
	defer close(w.done)
	for first := w.next(); first != nil; first = w.next() {
		batch := w.gather(first)
		err := w.commit(batch)
		for _, u := range batch {
			if u.err == nil && err != nil {
				u.err = fmt.Errorf("write to store: %w", err)
			}
			u.answer <- u.err
		}
	}
}

// next waits for an update and returns it, one that is not for later if there
// is any. After stop it returns those that are left, and then nil.
func (w *writer) next() *update {
	select {
	case u, ok := <-w.queue:
		if ok {
			return u
		}
		return <-w.later
	default:
	}
	select {
	case u, ok := <-w.queue:
		if ok {
			return u
		}
		return <-w.later
	case u, ok := <-w.later:
		if ok {
			return u
		}
		return <-w.queue
	}
}

// gather returns first and what else is waiting, of what is for later a few.
func (w *writer) gather(first *update) []*update {
	batch := drain([]*update{first}, w.queue, maxBatch)
	return drain(batch, w.later, len(batch)+maxLater)
}

// drain adds to the batch what waits in a queue, until there are so many.
func drain(batch []*update, queue <-chan *update, limit int) []*update {
	for len(batch) < limit {
		select {
		case u, ok := <-queue:
			if !ok {
				return batch
			}
			batch = append(batch, u)
		default:
			return batch
		}
	}
	return batch
}

// commit runs the batch in one transaction. Its error is that of the whole
// transaction; an update's own error undoes that update alone.
func (w *writer) commit(batch []*update) (err error) {
	if err := w.session.begin(w.ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.session.rollback(w.ctx))
		}
	}()
	if len(batch) == 1 { // the transaction is its own
		if err := w.run1(batch[0]); err != nil {
			return err
		}
		return w.session.commit(w.ctx)
	}
	for _, u := range batch {
		if err := w.apply(u); err != nil {
			return err
		}
	}
	return w.session.commit(w.ctx)
}

// errUndone ends a transaction whose only update has failed.
var errUndone = errors.New("update undone")

func (w *writer) run1(u *update) error {
	if u.err = u.ctx.Err(); u.err == nil {
		u.err = u.f(w.tx(w.ctx, w.session))
	}
	if u.err != nil {
		return errUndone
	}
	return nil
}

func (w *writer) apply(u *update) error {
	if u.err = u.ctx.Err(); u.err != nil {
		return nil
	}
	if err := w.session.savepoint(w.ctx); err != nil {
		return err
	}
	if u.err = u.f(w.tx(w.ctx, w.session)); u.err == nil {
		u.err = w.session.flush(w.ctx)
	}
	if u.err != nil {
		if err := w.session.undo(w.ctx); err != nil {
			return errors.Join(u.err, err)
		}
		return nil
	}
	return w.session.release(w.ctx)
}
