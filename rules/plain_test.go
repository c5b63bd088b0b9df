package rules

import "testing"

// What is read as a plain selector, Prometheus' parser reads as the same one,
// unless a regular expression is wrong: those are checked when SLOs are read.
func FuzzPlainSelector(f *testing.F) {
	for _, text := range []string{
		`http_requests_total`, `http_requests_total{}`, `http_requests_total{app="a",code=~"5.."}`, `a:b_total{x!="",y!~"z", w="über"}`,
		`x_total{a="b",}`, `x_total{a="b" ,c="d"}`, `x_total{__name__="y"}`, `x_total{a="\n"}`, `x_total{a="b"`, `_total{0="a"}`, `x_seconds{a=b}`, `sum_total`, `x_total{a='b'}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		vs, ok := plainSelector(text)
		if !ok {
			return
		}
		e, err := newParser().ParseExpr(text)
		if err != nil {
			for _, m := range vs.LabelMatchers {
				if m.Type.String()[1:] == "~" {
					return
				}
			}
			t.Fatalf("%q: %v", text, err)
		}
		if e.String() != vs.String() {
			t.Errorf("%q: %s, parsed %s", text, vs, e)
		}
	})
}
