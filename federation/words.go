package federation

import (
	"fmt"

	"github.com/prometheus/prometheus/promql/parser"
)

// maxWords is how many words a query may have: names, numbers, brackets,
// operators. What it takes to read one grows with their square, cannot be
// ended, and is minutes for some hundred thousand.
const maxWords = 20_000

// patientParser is Prometheus' parser for queries that it reads in a moment.
type patientParser struct{ parser.Parser }

// ParseExpr reads a query.
func (p patientParser) ParseExpr(input string) (parser.Expr, error) {
	if wordy(input) {
		return nil, fmt.Errorf("the query has more than %d words", maxWords)
	}
	return p.Parser.ParseExpr(input)
}

// wordy tells whether a query has more words than it may have.
func wordy(query string) bool {
	if len(query) <= maxWords { // each has a byte
		return false
	}
	words := parser.Lex(query)
	for range maxWords + 1 {
		var word parser.Item
		if words.NextItem(&word); word.Typ == parser.EOF || word.Typ == parser.ERROR {
			return false
		}
	}
	return true
}
