package slo

import (
	"math/big"
	"regexp"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// What is taken for a plain selector is one to Prometheus' parser.
func FuzzPlainSelector(f *testing.F) {
	for text, want := range map[string]bool{
		`http_requests_total`: true,
		`http_requests_total{app="shop",status=~"5..", path!="/a b",x!~"a|b"}`: true,
		`job:requests_total{by="x"}`: true,
		`http_requests`:              false,
		`x_total{a="b"} offset 5m`:   false,
		`x_total{a=~"*"}`:            false,
		`x_total{a="\\d"}`:           false,
		`x_total{__name__="y"}`:      false,
		`x_total{a="b",}`:            false,
		`1x_total`:                   false,
		`:_total{a="}"}`:             true,
	} {
		if got := isPlainSelector(text); got != want {
			f.Errorf("%s: want %t", text, want)
		}
		f.Add(text)
	}
	f.Add(`{namespace="prod", app=~"a|b"}`)
	f.Fuzz(func(t *testing.T, text string) {
		if isPlainStreams(text) {
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
			if vs, ok := expr.(*parser.VectorSelector); !ok || vs.Name != "" {
				t.Fatalf("%q: %v", text, err)
			}
		}
		if !isPlainSelector(text) {
			return
		}
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		vs, ok := expr.(*parser.VectorSelector)
		if !ok || vs.OriginalOffset != 0 || vs.Timestamp != nil || vs.Name == "" {
			t.Fatalf("%q is %s", text, expr)
		}
	})
}

// A name is what its pattern says, which the schema shows to editors.
func FuzzName(f *testing.F) {
	pattern := regexp.MustCompile(namePatternText)
	for _, text := range []string{"a", "a-b.c_D9", "-a", "a.", "_", "", "ä", "a\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if isName(text) != pattern.MatchString(text) {
			t.Errorf("%q: %t", text, isName(text))
		}
	})
}

// A decimal is what its pattern says.
func FuzzDecimal(f *testing.F) {
	pattern := regexp.MustCompile(decimalPatternText)
	for _, text := range []string{"99.95", "0", "1.", ".5", "123456.1234567890", "1234567", "1e3", "-1", "٣", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if (err == nil) != pattern.MatchString(text) {
			t.Fatalf("%q: %v", text, err)
		}
		if want, ok := new(big.Rat).SetString(text); err == nil && (!ok || want.Cmp(d.value) != 0) {
			t.Errorf("%q is %s", text, d.value)
		}
	})
}
