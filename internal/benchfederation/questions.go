package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/internal/promresult"
	"github.com/midwatch-slo/midwatch/internal/servers"
)

// listedQueries reads queries.txt, but for what is about native histograms.
// Its times are moved to those of the data.
func listedQueries(start time.Time) (out []string, err error) {
	root, err := servers.Root()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(root, "testdata", "federation", "queries.txt"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	times := regexp.MustCompile(`@ [0-9.]+`)
	left := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		switch text := lines.Text(); {
		case text == "", strings.HasPrefix(text, "#"):
		case strings.HasPrefix(text, "["):
			left = strings.Contains(text, "native histograms")
		case !left:
			out = append(out, times.ReplaceAllStringFunc(text, func(at string) string {
				seconds, _ := strconv.ParseFloat(at[2:], 64) // as the expression says
				return "@ " + strconv.FormatFloat(seconds+start.Sub(listedStart()).Seconds(), 'f', -1, 64)
			}))
		}
	}
	return out, lines.Err()
}

// period is when a query is evaluated; without a step at an instant.
type period struct {
	start, end time.Time
	step       time.Duration
}

func periods(start time.Time) []period {
	at := start.Add
	instant := at(100*time.Minute + 7*time.Second + 123*time.Millisecond)
	return []period{
		{start: instant, end: instant},
		{start: at(40 * time.Minute), end: at(40 * time.Minute)},
		{start: at(50 * time.Minute), end: at(110 * time.Minute), step: 97 * time.Second},
		{start: at(60 * time.Minute), end: at(60*time.Minute + 9*time.Second), step: 777 * time.Millisecond},
	}
}

// said is an answer of the query API.
type said struct {
	Status, ErrorType, Error string
	Warnings, Infos          []string
	Data                     struct {
		ResultType string
		Result     any
	}
}

// say puts a query to a server. Errors of the API are no errors.
func say(ctx context.Context, client *http.Client, base, query string, when period) (said, error) {
	path, form := "/api/v1/query", url.Values{"query": {query}}
	if when.step == 0 {
		form.Set("time", inSeconds(when.start))
	} else {
		path = "/api/v1/query_range"
		form.Set("start", inSeconds(when.start))
		form.Set("end", inSeconds(when.end))
		form.Set("step", strconv.FormatFloat(when.step.Seconds(), 'f', -1, 64))
	}
	var out said
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(body, &out); err != nil {
		return out, fmt.Errorf("%s: %s: %w", query, resp.Status, err)
	}
	slices.Sort(out.Warnings)
	slices.Sort(out.Infos)
	return out, nil
}

func inSeconds(t time.Time) string {
	return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64)
}

// unlike tells how two answers differ, "" when they do not.
func unlike(query string, got, want said) string {
	head := func(a said) string {
		return fmt.Sprintf("%s %s %s %q %q %s", a.Status, a.ErrorType, a.Error, a.Warnings, a.Infos, a.Data.ResultType)
	}
	if head(got) != head(want) {
		return fmt.Sprintf("got %s, want %s", head(got), head(want))
	}
	return promresult.Differ(query, got.Data.Result, want.Data.Result)
}
