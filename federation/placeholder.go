package federation

import (
	"strconv"
	"sync"

	"github.com/prometheus/prometheus/promql/parser"
)

// treeParser is a parser that hands out trees which are made already, each
// for its token and once. An engine that has it evaluates planned expressions,
// in which selectors stand for what clusters evaluate.
//
// Tokens are no PromQL, and what users write is parsed before an engine sees
// it: so nobody can ask for the tree of another one.
type treeParser struct {
	parser.Parser

	mu    sync.Mutex
	last  uint64
	trees map[string]parser.Expr
}

func newTreeParser(p parser.Parser) *treeParser {
	return &treeParser{Parser: p, trees: map[string]parser.Expr{}}
}

// keep returns a token for a tree. It holds until it is used or dropped.
func (p *treeParser) keep(tree parser.Expr) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	token := "\x00" + strconv.FormatUint(p.last, 10)
	p.trees[token] = tree
	return token
}

func (p *treeParser) drop(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.trees, token)
}

// ParseExpr returns the tree of a token, or parses what is none.
func (p *treeParser) ParseExpr(input string) (parser.Expr, error) {
	p.mu.Lock()
	tree, ok := p.trees[input]
	delete(p.trees, input)
	p.mu.Unlock()
	if ok {
		return tree, nil
	}
	return p.Parser.ParseExpr(input)
}
