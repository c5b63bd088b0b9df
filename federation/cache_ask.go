package federation

import (
	"context"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/midwatch-slo/midwatch/federation/answer"
)

// maxStretches is how many requests are made for what is not kept of one
// answer. Where more are missing, all between the first and the last is asked
// for.
const maxStretches = 4

// stretch is steps of a window in a row, and what a server has at them.
type stretch struct {
	from, steps int
	answer      *answer.Answer
}

// pastAnswer makes the answer to one evaluation of what is kept and of what is
// asked for.
type pastAnswer struct {
	cluster *cluster
	replica *replica
	cache   *cache
	e       evaluation
	grid    answer.Grid
	first   int64 // the first step, counted from 1970
	settled int   // how many steps, from the first on, read what does not change
	past    past
	subject cacheSubject
}

// inPieces asks one replica for what is not kept of an answer. It returns
// false where nothing of it may be.
func (c *cluster) inPieces(ctx context.Context, r *replica, e evaluation) (*answer.Answer, bool, error) {
	if c.cache == nil || e.window.Step == 0 || uncached(ctx) || c.cache.whole.knows(c.name, e.query.Text, time.Now()) || !e.query.Splits() {
		return nil, false, nil
	}
	p := &pastAnswer{cluster: c, replica: r, cache: c.cache, e: e, grid: gridOf(e.window)}
	if p.past = c.cache.pastOf(ctx, r); !p.past.known {
		return nil, false, nil
	}
	p.settled = sort.Search(p.grid.Steps, func(i int) bool {
		return e.query.Newest(p.grid.Start+int64(i)*p.grid.Step) > p.past.until
	})
	b, err := r.backend(ctx)
	if p.settled == 0 || err != nil || r.pushes(b) < e.pushes { // which asking tells
		return nil, false, nil //nolint:nilerr // as it says.
	}
	p.name(b)
	a, whole, err := p.get(ctx)
	return a, whole, err
}

// name sets what is asked for. Series keep all their labels: those of pieces
// are put together by them.
func (p *pastAnswer) name(b backend) {
	one := *p.e.query
	one.Projected, one.Keep = false, nil
	p.e.query = &one
	phase := (p.grid.Start%p.grid.Step + p.grid.Step) % p.grid.Step
	p.first = (p.grid.Start - phase) / p.grid.Step
	p.subject = cacheSubject{
		replica: p.replica, server: b, text: one.Text, labels: p.e.labels.String(), foreign: strings.Join(one.Foreign, "\xff"),
		sums: one.Sums, lookback: p.e.lookback, step: p.grid.Step, phase: phase,
	}
}

// get returns the answer, and false when it cannot be made of pieces.
func (p *pastAnswer) get(ctx context.Context) (*answer.Answer, bool, error) {
	kept, missing := p.look(time.Now())
	held := 0
	for _, s := range kept {
		held += s.answer.Samples()
	}
	if err := p.e.scope.hold(held); err != nil {
		return nil, true, err
	}
	if err := p.ask(ctx, missing); err != nil {
		return nil, true, err
	}
	for _, s := range missing {
		held += s.answer.Samples()
	}
	for _, s := range missing {
		if !plain(s.answer) {
			p.cache.whole.remember(p.cluster.name, p.e.query.Text, time.Now())
			_ = p.e.scope.hold(-held) // which it does not hold any more
			return nil, false, nil
		}
	}
	if p.cluster.reaches(ctx, p.replica) {
		p.keep(missing, time.Now())
	}
	all := slices.Concat(kept, missing)
	sort.Slice(all, func(i, k int) bool { return all[i].from < all[k].from })
	answers := make([]*answer.Answer, len(all))
	for i, s := range all {
		answers[i] = s.answer
	}
	out := answer.Join(&p.grid, answers)
	out.Sort()
	return out, true, nil
}

// plain tells whether an answer is nothing but series. What notes say may
// depend on all steps that are asked for at once.
func plain(a *answer.Answer) bool {
	return len(a.Warnings) == 0 && len(a.Infos) == 0 && !a.Partial && a.Sort()
}

// pieces calls f for each piece that has some of so many steps: with the key,
// and with the steps of it that are among them.
func (p *pastAnswer) pieces(from, steps int, f func(key cacheKey, from, steps int)) {
	for end := from + steps; from < end; {
		step := p.first + int64(from)
		piece := step / pieceSteps
		if step < 0 && step%pieceSteps != 0 {
			piece--
		}
		n := min(end-from, int((piece+1)*pieceSteps-step))
		f(cacheKey{p.subject, piece}, from, n)
		from += n
	}
}

// look returns what is kept, and the stretches that are not.
func (p *pastAnswer) look(now time.Time) (kept, missing []stretch) {
	miss := func(from, steps int) {
		if last := len(missing) - 1; last >= 0 && missing[last].from+missing[last].steps == from {
			missing[last].steps += steps
			return
		}
		missing = append(missing, stretch{from: from, steps: steps})
	}
	p.pieces(0, p.settled, func(key cacheKey, from, steps int) {
		if a := p.cache.find(key, p.past.epoch, p.first+int64(from), steps, now); a != nil {
			p.cache.metrics.hits.Inc()
			kept = append(kept, stretch{from, steps, a})
			return
		}
		p.cache.metrics.misses.Inc()
		miss(from, steps)
	})
	if rest := p.grid.Steps - p.settled; rest > 0 {
		miss(p.settled, rest)
	}
	if len(missing) <= maxStretches {
		return kept, missing
	}
	last := missing[len(missing)-1]
	all := stretch{from: missing[0].from, steps: last.from + last.steps - missing[0].from}
	outside := kept[:0]
	for _, s := range kept {
		if s.from < all.from || s.from >= all.from+all.steps {
			outside = append(outside, s)
		}
	}
	return outside, []stretch{all}
}

// ask asks for the stretches, all at once.
func (p *pastAnswer) ask(ctx context.Context, missing []stretch) error {
	errs := make([]error, len(missing))
	var running sync.WaitGroup
	for i := range missing {
		running.Go(func() {
			missing[i].answer, errs[i] = p.cluster.evaluateSteps(ctx, p.replica, p.e, p.part(missing[i]))
		})
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// part returns the grid of a stretch.
func (p *pastAnswer) part(s stretch) answer.Grid {
	return answer.Grid{Start: p.grid.Start + int64(s.from)*p.grid.Step, Step: p.grid.Step, Steps: s.steps}
}

// keep keeps what was asked for, as far as it does not change any more.
func (p *pastAnswer) keep(asked []stretch, now time.Time) {
	for _, s := range asked {
		p.pieces(s.from, min(s.steps, p.settled-s.from), func(key cacheKey, from, steps int) {
			last := p.grid.Start + int64(from+steps-1)*p.grid.Step
			p.cache.keep(&cached{
				key: key, epoch: p.past.epoch, from: p.first + int64(from), steps: steps, newest: p.e.query.Newest(last),
				answer: answer.Cut(s.answer, p.part(s), from-s.from, steps), since: now,
			})
		})
	}
}
