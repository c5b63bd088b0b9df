package federation_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/federation"
	"github.com/midwatch-slo/midwatch/internal/promresult"
)

// listedQuery is a query of testdata/federation/queries.txt.
type listedQuery struct {
	line      int
	class     string
	transport string // pushed, raw, nothing, any
	text      string
}

func listedQueries(t testing.TB) []listedQuery {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "testdata", "federation", "queries.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []listedQuery
	current := listedQuery{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		current.line++
		text := lines.Text()
		switch {
		case text == "", strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, "["):
			title := strings.Trim(text, "[]")
			at := strings.LastIndex(title, ": ")
			current.class, current.transport = title[:at], title[at+2:]
		default:
			current.text = text
			out = append(out, current)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// listedWindows are the times at which each listed query is asked.
func listedWindows() []window {
	instant := at(100*time.Minute + 7*time.Second + 123*time.Millisecond)
	return []window{
		{start: instant, end: instant},
		{start: at(40 * time.Minute), end: at(40 * time.Minute)},
		{start: at(50 * time.Minute), end: at(110 * time.Minute), step: 97 * time.Second},
		{start: at(60 * time.Minute), end: at(60*time.Minute + 9*time.Second), step: 777 * time.Millisecond},
	}
}

// apiAnswer is an answer of the query API, in a form that compares.
type apiAnswer struct {
	Status, ErrorType, Error string
	Warnings, Infos          []string
	Data                     struct {
		ResultType string
		Result     json.RawMessage
	}
	code int
}

func askWindow(t testing.TB, base, query string, when window, more ...string) apiAnswer {
	t.Helper()
	path := "/api/v1/query"
	form := url.Values{"query": {query}}
	if when.step == 0 {
		form.Set("time", seconds(when.start))
	} else {
		path = "/api/v1/query_range"
		form.Set("start", seconds(when.start))
		form.Set("end", seconds(when.end))
		form.Set("step", strconv.FormatFloat(when.step.Seconds(), 'f', -1, 64))
	}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	a := ask(t, http.MethodPost, base, path, form)
	out := apiAnswer{code: a.status}
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%s: %v\n%.300s", query, err, a.body)
	}
	slices.Sort(out.Warnings)
	slices.Sort(out.Infos)
	return out
}

func seconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// compareAnswers returns how two answers differ, "" when they do not.
func compareAnswers(query string, got, want apiAnswer) string {
	head := func(a apiAnswer) string {
		return fmt.Sprintf("%d %s %s %q %q %q %s", a.code, a.Status, a.ErrorType, a.Error, a.Warnings, a.Infos, a.Data.ResultType)
	}
	if head(got) != head(want) {
		return fmt.Sprintf(" got %s\nwant %s", head(got), head(want))
	}
	g, w := decodeResult(got.Data.Result), decodeResult(want.Data.Result)
	return promresult.Differ(query, g, w)
}

func decodeResult(raw json.RawMessage) any {
	var v any
	if len(raw) > 0 && json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	return v
}

// TestListedQueries puts every listed query to three real Prometheus and a
// cluster without any data, by way of federation, and to one Prometheus that
// holds everything.
func TestListedQueries(t *testing.T) {
	w := startRealWorld(t)
	var gates []*gate
	clusters := w.config()
	for i := range clusters {
		g := openGate(t, clusters[i].URLs[0])
		gates = append(gates, g)
		clusters[i].URLs[0] = g.URL
	}
	clusters = append(clusters, federation.Cluster{Name: "empty", URLs: []string{standIn{own: map[string]string{"cluster": "empty"}}.start(t, nil).URL}})
	fed := newFederation(t, federation.Config{Clusters: clusters})
	api := httptest.NewServer(fed.Handler())
	t.Cleanup(api.Close)
	for _, q := range listedQueries(t) {
		for _, when := range listedWindows() {
			if when.step > 0 && isRangeType(newReferenceParser(), q.text) {
				continue
			}
			got, want := askWindow(t, api.URL, q.text, when), askWindow(t, w.reference, q.text, when)
			if d := compareAnswers(q.text, got, want); d != "" {
				t.Errorf("queries.txt:%d: %s: %s | %s\n%s", q.line, q.class, q.text, when, d)
			}
			checkTransport(t, q, when, gates)
		}
	}
}

func checkTransport(t *testing.T, q listedQuery, when window, gates []*gate) {
	t.Helper()
	read, queries := 0, []string(nil)
	for _, g := range gates {
		r, texts := g.take()
		read, queries = read+r, append(queries, texts...)
	}
	ok := true
	switch q.transport {
	case "pushed":
		ok = read == 0 && len(queries) > 0
	case "raw":
		ok = read > 0
	case "nothing":
		ok = read == 0 && len(queries) == 0
	case "any":
	default:
		t.Fatalf("queries.txt:%d: transport %q", q.line, q.transport)
	}
	if !ok {
		t.Errorf("queries.txt:%d: %s: %s | %s\nthe clusters were asked for raw samples %d times, and %q; want %s", q.line, q.class, q.text, when, read, queries, q.transport)
	}
}
