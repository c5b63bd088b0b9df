package federation

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

func readList(r io.Reader, limit int64) (all []labels.Labels, warned bool, err error) {
	warned, err = decodeList(newAnswerBody(r, &budget{limit: limit}), func(set labels.Labels) { all = append(all, set) })
	return all, warned, err
}

func TestListsAreReadAsTheyCome(t *testing.T) {
	const whole = `{"status":"success","data":[{"a":"b, [{"},{"c":"\\\"{"}],"warnings":["w"],"infos":["i"]}`
	for text, want := range map[string]int{
		whole: 2,
		`{"warnings":["w"],"infos":{"x":[1,[]]},"data":[{"a":"b"}],"status":"success"}` + "\n\n": 1,
		`{"status":"success","data":[],"warnings":["w","results truncated due to limit"]}`:       0,
		`{"status":"success","data":null,"isPartial":false,"warnings":["w"]}`:                    0,
	} {
		all, warned, err := readList(strings.NewReader(text), 1<<20)
		if err != nil || len(all) != want || !warned {
			t.Errorf("%s: got %v, %t, %v, want %d", text, all, warned, err, want)
		}
	}
	for cut := range len(whole) {
		if all, _, err := readList(strings.NewReader(whole[:cut]), 1<<20); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: got %v, %v", whole[:cut], all, err)
		}
	}
	for text, want := range map[string]error{
		`{"status":"success","data":[],"isPartial":true}`:            errSaysPartial,
		`{"status":"error","data":[]}`:                               errNotAnAnswer,
		`{"data":[]}`:                                                errNotAnAnswer,
		`[]`:                                                         errNotAnAnswer,
		`{"status":"success","data":{}}`:                             errNotAnAnswer,
		`{"status":"success","data":["a"]}`:                          errNotAnAnswer,
		`{"status":"success","data":[{}}`:                            errNotAnAnswer,
		`{"status":"success","data":[],"data":[{"a":"b"}]}`:          errNotAnAnswer,
		`{"status":"success","data":[` + strings.Repeat(`[`, 20_000): errNotAnAnswer,
	} {
		if _, _, err := readList(strings.NewReader(text), 1<<20); !errors.Is(err, want) {
			t.Errorf("%.60s: got %v, want %v", text, err, want)
		}
	}
}

// endless repeats a text.
type endless struct {
	text string
	at   int
}

// Read never ends.
func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

// What an answer needs in memory is bounded, whatever it is made of.
func TestAnswersAreBounded(t *testing.T) {
	for begin, more := range map[string]string{
		``:                                  "\n",
		`{"status":"success","data":[`:      `{},`,
		`{"status":"success","data":[{`:     `"a":"","a":"",`,
		`{"status":"success","data":[{"`:    "a",
		`{"status":"success","data":[],"`:   `x":[],"`,
		`{"status":"success","warnings":[`:  `"",`,
		`{"status":"success","data":[]}`:    " ",
		`{"status":"success","infos":[[[],`: `[[]],`,
	} {
		const limit = 1 << 20
		used := &budget{limit: limit}
		body := newAnswerBody(io.MultiReader(strings.NewReader(begin), &endless{text: strings.Repeat(more, 100)}), used)
		n := 0
		_, err := decodeList(body, func(labels.Labels) { n++ })
		want := errTooMuch
		switch {
		case strings.HasSuffix(begin, "}"):
			want = nil
		case more == "\n":
			want = brokenError("nothing but white space")
		}
		if !errors.Is(err, want) {
			t.Errorf("%s…%s: got %v", begin, more, err)
		}
		if n > limit/elementCost {
			t.Errorf("%s…%s: got %d elements", begin, more, n)
		}
	}
	element := io.MultiReader(strings.NewReader(`{"status":"success","data":[{"a":"`), &endless{text: strings.Repeat("a", 1000)})
	if _, _, err := readList(element, math.MaxInt64); !errors.As(err, new(brokenError)) {
		t.Errorf("an endless element: got %v", err)
	}
	rules := io.MultiReader(strings.NewReader(`{"status":"success","data":{"groups":[{"rules":[`), &endless{text: "{},"})
	if _, _, err := objectOf[struct{ Groups []ruleGroup }](newAnswerBody(rules, &budget{limit: 1 << 20})); !errors.Is(err, errTooMuch) {
		t.Errorf("endless rules: got %v", err)
	}
}

// What the only replica to answer is known to lack is said of what there is, as
// it is of samples.
func TestDoubtsOfWhatThereIs(t *testing.T) {
	network := &unanimous{answer: `{"status":"success","data":[]}`}
	fed := newFuzzed(t, network)
	c := fed.clusters[0]
	c.replicas[1].client = &http.Client{Transport: nobody{}}
	now := time.Now()
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	for i := range c.holes.seen {
		c.holes.seen[i] = spans{{ago(25 * time.Hour), ago(0)}}
	}
	c.holes.latest, c.holes.sighted = span{ago(time.Hour), ago(0)}, true
	c.holes.lacks[0] = spans{{ago(20 * time.Minute), ago(10 * time.Minute)}}
	get := func(path string, from, to time.Duration) string {
		form := url.Values{"match[]": {"up"}, "query": {"up"}, "end": {strconv.FormatInt(ago(to)/1000, 10)}, "start": {strconv.FormatInt(ago(from)/1000, 10)}}
		if from == 0 {
			form.Del("start")
			form.Del("end")
		}
		rec := httptest.NewRecorder()
		fed.Handler().ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/"+path+"?"+form.Encode(), http.NoBody))
		if rec.Code != http.StatusOK {
			t.Errorf("%s: got %d %s", path, rec.Code, rec.Body)
		}
		return rec.Body.String()
	}
	for _, path := range []string{"series", "labels", "label/a/values", "label/cluster/values", "query_exemplars"} {
		const doubt = "replica 1 answers alone, and lacks data of"
		if got := get(path, 30*time.Minute, 0); !strings.Contains(got, doubt) {
			t.Errorf("%s over the hole: got %s", path, got)
		}
		if got := get(path, 9*time.Minute, 0); strings.Contains(got, "warnings") {
			t.Errorf("%s after the hole: got %s", path, got)
		}
		if got := get(path, 100*time.Hour, 99*time.Hour); !strings.Contains(got, "has not been searched for gaps yet") {
			t.Errorf("%s long ago: got %s", path, got)
		}
	}
	if got := get("labels", 0, 0); !strings.Contains(got, "lacks data") {
		t.Errorf("of all times: got %s", got)
	}
	c.holes.lacks = slices.Repeat([]spans{nil}, 2)
	if got := get("labels", 0, 0); strings.Contains(got, "warnings") {
		t.Errorf("of all times, and no hole: got %s", got)
	}
}

// nobody is a network on which nothing answers.
type nobody struct{}

// RoundTrip fails.
func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
