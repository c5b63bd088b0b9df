package lint

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
)

// enough is how many questions are asked of a server that answers none: the
// others would take as long, one after the other.
const enough = 2

// patience asks a server no more once it has answered nothing that it was
// asked.
type patience struct {
	server           Server
	answered, failed int
	last             error
}

var _ Server = (*patience)(nil)

// silent tells whether the server has not answered anything.
func (p *patience) silent() bool { return p.answered == 0 && p.failed > 0 }

// over returns what came of the last question where no more are asked.
func (p *patience) over() error {
	if p.answered == 0 && p.failed >= enough {
		return p.last
	}
	return nil
}

func (p *patience) note(err error) {
	if err == nil {
		p.answered++
		return
	}
	p.failed++
	p.last = err
}

// err returns what came of asking a server that was silent throughout.
func (p *patience) err() error { return fmt.Errorf("it answers nothing: %w", p.last) }

func (p *patience) Query(ctx context.Context, query string, at time.Time) (model.Vector, error) {
	if err := p.over(); err != nil {
		return nil, err
	}
	v, err := p.server.Query(ctx, query, at)
	p.note(err)
	return v, err
}

func (p *patience) LabelValues(ctx context.Context, label, selector string, since time.Time) ([]string, error) {
	if err := p.over(); err != nil {
		return nil, err
	}
	values, err := p.server.LabelValues(ctx, label, selector, since)
	p.note(err)
	return values, err
}

func (p *patience) Type(ctx context.Context, metric string) (string, error) {
	if err := p.over(); err != nil {
		return "", err
	}
	kind, err := p.server.Type(ctx, metric)
	p.note(err)
	return kind, err
}

func (p *patience) Retention(ctx context.Context) (time.Duration, error) {
	if err := p.over(); err != nil {
		return 0, err
	}
	kept, err := p.server.Retention(ctx)
	p.note(err)
	return kept, err
}
