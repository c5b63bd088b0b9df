package rules

import (
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// A tree that prints as another one is refused.
func TestPrintRefusesWhatParsesOtherwise(t *testing.T) {
	sum := add(num(1), num(2)).(*parser.BinaryExpr)
	bare := &parser.BinaryExpr{Op: parser.MUL, LHS: sum, RHS: num(3)} // prints as 1 + 2 * 3
	if text, err := print(bare); err == nil {
		t.Errorf("%s is printed", text)
	}
	if text, err := print(mul(sum, num(3))); err != nil || text != "(1 + 2) * 3" {
		t.Errorf("got %s, %v", text, err)
	}
	if text, err := print(chain(parser.ADD, num(1), num(2), num(3))); err != nil || text != "1 + 2 + 3" {
		t.Errorf("got %s, %v", text, err)
	}
}
