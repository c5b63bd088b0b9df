package federation

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// errInexact is data that a server without remote read cannot send as it is.
var errInexact = errors.New("it has native histograms, which only remote read sends as they are")

// readByQuery returns the raw samples of a selection without remote read: from
// VictoriaMetrics by its export, which has staleness markers; from others by
// the value of a range vector, which has none.
func (r *replica) readByQuery(ctx context.Context, b backend, sel selection, budget *budget) (reading, []rawSeries, error) {
	if b.kind == victoriaKind {
		form := url.Values{"match[]": {victoriaSelector(sel.matchers)}, "start": {apiTime(sel.mint)}, "end": {apiTime(sel.maxt)}}
		return r.readAs(ctx, "export", form, sel, budget, readExport)
	}
	text := fmt.Sprintf("%s[%dms]", selectorText(sel.matchers), sel.maxt-sel.mint+1)
	form := url.Values{"query": {text}, "time": {apiTime(sel.maxt)}}
	return r.readAs(ctx, "query", form, sel, budget, readMatrix)
}

// readAs puts a question whose answer one of the readers below reads.
func (r *replica) readAs(ctx context.Context, path string, form url.Values, sel selection, budget *budget, read func(io.Reader, *matrix) error) (reading, []rawSeries, error) {
	resp, err := r.ask(ctx, path, form)
	if err != nil {
		return reading{}, nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return reading{}, nil, statusError(resp.StatusCode)
	}
	if !resp.Uncompressed && !endMarked(resp) {
		return reading{}, nil, brokenError("its end is not marked, so it may be cut short")
	}
	m := &matrix{sel: sel}
	if err := read(&budgetReader{r: resp.Body, budget: budget}, m); err != nil {
		return reading{}, nil, err
	}
	return reading{warned: m.warned}, m.out, nil
}

// selectorText writes matchers as PromQL. A selector that also matches what
// has no labels at all, which PromQL refuses, asks for a name beside.
func selectorText(ms []*labels.Matcher) string {
	if !slices.ContainsFunc(ms, func(m *labels.Matcher) bool { return !m.Matches("") }) {
		ms = append(slices.Clone(ms), labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+"))
	}
	return (&parser.VectorSelector{LabelMatchers: ms}).String()
}

// victoriaSelector writes matchers as VictoriaMetrics reads them, which quotes
// no names: what is special in one has a backslash before it.
func victoriaSelector(ms []*labels.Matcher) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		var name strings.Builder
		for k, r := range m.Name {
			if !model.LegacyValidation.IsValidLabelName(string(r)) && (k == 0 || r < '0' || r > '9') {
				name.WriteByte('\\')
			}
			name.WriteRune(r)
		}
		parts[i] = name.String() + m.Type.String() + strconv.Quote(m.Value)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// apiTime writes milliseconds as Prometheus' API reads them.
func apiTime(ms int64) string { return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64) }

// matrix takes in series as they are read.
type matrix struct {
	sel    selection
	out    []rawSeries
	warned bool // the server warns of its answer
}

// add takes in a series. Samples out of the selection's time are left out.
func (m *matrix) add(metric map[string]string, samples []chunks.Sample) error {
	for name, v := range metric {
		if name == "" || !utf8.ValidString(name) || !utf8.ValidString(v) {
			return brokenError("a label is not valid")
		}
	}
	kept := samples[:0]
	for _, s := range samples {
		if s.T() < m.sel.mint || s.T() > m.sel.maxt {
			continue
		}
		if n := len(kept); n > 0 && s.T() <= kept[n-1].T() {
			return brokenError("samples are not in order of time")
		}
		kept = append(kept, s)
	}
	if len(kept) > 0 {
		set := labels.FromMap(metric)
		m.out = append(m.out, rawSeries{labels: set, parts: []storage.Series{storage.NewListSeries(set, kept)}})
	}
	return nil
}

// readExport reads what VictoriaMetrics exports: a line of JSON for each
// series, or several with parts of one.
func readExport(body io.Reader, m *matrix) error {
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read answer: %w", err)
		}
		if len(line) > 0 {
			if err := readExported(line, m); err != nil {
				return err
			}
		}
		if err != nil {
			return nil //nolint:nilerr // it is the end.
		}
	}
}

func readExported(line []byte, m *matrix) error {
	var one struct {
		Metric     map[string]string `json:"metric"`
		Values     []exported        `json:"values"`
		Timestamps []int64           `json:"timestamps"`
	}
	for _, bare := range []string{"NaN", "+Inf", "-Inf"} { // older ones write the first value so
		line = bytes.Replace(line, []byte(`"values":[`+bare), []byte(`"values":["`+bare+`"`), 1)
	}
	if err := json.Unmarshal(line, &one); err != nil {
		return ofJSON(err)
	}
	if len(one.Values) != len(one.Timestamps) {
		return brokenError("as many values as times are wanted")
	}
	samples := make([]chunks.Sample, len(one.Values))
	for i, v := range one.Values {
		samples[i] = sample{t: one.Timestamps[i], f: float64(v)}
	}
	return m.add(one.Metric, samples)
}

// exported is a value as VictoriaMetrics exports it. A null, or NaN, is a
// staleness marker: the only value of its kind that VictoriaMetrics keeps.
type exported float64

// UnmarshalJSON reads a value.
func (e *exported) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" || text == "NaN" {
		*e = exported(math.Float64frombits(value.StaleNaN))
		return nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return brokenError("a value is not a number")
	}
	*e = exported(f)
	return nil
}

// readMatrix reads an answer of /api/v1/query that is a matrix, one series
// after the other.
func readMatrix(body io.Reader, m *matrix) error {
	dec := json.NewDecoder(bufio.NewReader(body))
	success := false
	err := members(dec, func(name string) (err error) {
		switch name {
		case "status":
			var status string
			err = dec.Decode(&status)
			success = status == "success"
			return err
		case "warnings":
			var all []json.RawMessage
			err = dec.Decode(&all)
			m.warned = m.warned || len(all) > 0
			return err
		case "data":
			return members(dec, func(name string) error {
				if name == "result" {
					return elements(dec, func() error { return readSeries(dec, m) })
				}
				return skip(dec)
			})
		}
		return skip(dec)
	})
	if err != nil {
		return ofJSON(err)
	}
	if !success {
		return brokenError("not the JSON that a Prometheus answers")
	}
	return nil
}

func readSeries(dec *json.Decoder, m *matrix) error {
	var one struct {
		Metric     map[string]string `json:"metric"`
		Values     []pair            `json:"values"`
		Histograms []json.RawMessage `json:"histograms"`
	}
	if err := dec.Decode(&one); err != nil {
		return err
	}
	if len(one.Histograms) > 0 {
		return errInexact
	}
	samples := make([]chunks.Sample, len(one.Values))
	for i, p := range one.Values {
		samples[i] = sample(p)
	}
	return m.add(one.Metric, samples)
}

// pair is a sample as Prometheus writes it: [1700000000.123, "1.5"].
type pair sample

// UnmarshalJSON reads a sample.
func (p *pair) UnmarshalJSON(b []byte) error {
	at, text, found := strings.Cut(strings.Trim(string(b), "[] \t\r\n"), ",")
	t, err := strconv.ParseFloat(strings.TrimSpace(at), 64)
	text = strings.TrimSpace(text)
	if !found || err != nil || math.Abs(t) > 1e13 || len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return brokenError("a sample is not one")
	}
	p.t = int64(math.Round(t * 1000))
	if p.f, err = strconv.ParseFloat(text[1:len(text)-1], 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return brokenError("a sample is not one")
	}
	return nil
}

// members calls of for each member of the object that comes next; of reads its
// value.
func members(dec *json.Decoder, of func(name string) error) error {
	if err := delim(dec, '{'); err != nil {
		return err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		text, _ := name.(string) // the decoder sees to it that it is one
		if err := of(text); err != nil {
			return err
		}
	}
	return delim(dec, '}')
}

// elements calls of for each element of the array that comes next; of reads
// it.
func elements(dec *json.Decoder, of func() error) error {
	if err := delim(dec, '['); err != nil {
		return err
	}
	for dec.More() {
		if err := of(); err != nil {
			return err
		}
	}
	return delim(dec, ']')
}

func delim(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err == nil && token != want {
		err = brokenError("not the JSON that a Prometheus answers")
	}
	return err
}

func skip(dec *json.Decoder) error {
	var nothing json.RawMessage
	return dec.Decode(&nothing)
}

// ofJSON makes a brokenError of what the decoder does not understand.
func ofJSON(err error) error {
	var (
		syntax *json.SyntaxError
		typ    *json.UnmarshalTypeError
		broken brokenError
	)
	switch {
	case errors.As(err, &broken):
		return broken
	case errors.Is(err, io.EOF): // within the answer
		return fmt.Errorf("read answer: %w", io.ErrUnexpectedEOF)
	case errors.As(err, &syntax), errors.As(err, &typ):
		return brokenError("not the JSON that a Prometheus answers")
	}
	return err
}
