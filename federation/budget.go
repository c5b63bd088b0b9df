package federation

import (
	"io"
	"sync/atomic"
)

// budget bounds the bytes that all clusters together send for one query.
type budget struct {
	limit int64
	used  atomic.Int64
}

// budgetReader reads until the budget is used up, then fails with errTooMuch.
type budgetReader struct {
	r      io.Reader
	budget *budget
}

// Read reads and counts.
func (b *budgetReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.budget.used.Add(int64(n)) > b.budget.limit {
		return n, errTooMuch
	}
	return n, err
}
