package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
)

// Bounds of one request. A Prometheus sends at most 256 alerts at once.
const (
	MaxBody       = 16 << 20 // bytes
	MaxAlerts     = 10_000
	MaxLabels     = 128 // of an alert, and as many annotations
	MaxName       = 1 << 10
	MaxLabel      = 8 << 10  // bytes of a label's value
	MaxAnnotation = 64 << 10 // bytes of an annotation's value
	maxURL        = 8 << 10
	maxDepth      = 16
)

// ResolveTimeout is how long an alert without an end time lives unless it is
// sent again, as Alertmanager's resolve_timeout is by default.
const ResolveTimeout = 5 * time.Minute

// ErrTooLarge is a request beyond MaxBody or MaxAlerts. Nothing of it is taken.
var ErrTooLarge = errors.New("too large")

// ErrMalformed is a request that is no JSON array of objects, or not in
// UTF-8. Nothing of it is taken.
var ErrMalformed = errors.New("malformed")

// Invalid is one alert that was refused.
type Invalid struct {
	Index  int            // in the request, from 0
	Labels model.LabelSet // as far as they were read
	Err    error
}

// InvalidError names the alerts of a request that were refused. The others
// were taken.
type InvalidError []Invalid

// Error names up to ten alerts by their place in the request and their labels.
func (e InvalidError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d invalid alerts", len(e))
	for i, bad := range e {
		if i == 10 {
			fmt.Fprintf(&b, "; and %d more", len(e)-i)
			break
		}
		fmt.Fprintf(&b, "; alert %d %s: %v", bad.Index, shorten(bad.Labels.String(), 200), bad.Err)
	}
	return b.String()
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}

// Parse reads the body of Alertmanager's POST /api/v2/alerts and validates it
// as Alertmanager does, within bounds. What the sender left out is filled in:
// no start is now (or the end, when that is earlier), no end is now plus
// ResolveTimeout. An alert whose end is not after now is Resolved, any other
// is Firing. Labels without a value are removed, as is a generator URL that a
// browser must not follow. Times are cut to milliseconds.
//
// The error is ErrTooLarge or ErrMalformed (wrapped) when nothing was taken,
// and an InvalidError beside the valid alerts when some were refused.
func Parse(r io.Reader, now time.Time) ([]Alert, error) {
	body, err := io.ReadAll(io.LimitReader(r, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read alerts: %w", err)
	case len(body) > MaxBody:
		return nil, fmt.Errorf("parse alerts: more than %d bytes: %w", MaxBody, ErrTooLarge)
	case !utf8.Valid(body):
		return nil, fmt.Errorf("parse alerts: not in UTF-8: %w", ErrMalformed)
	case depth(body) > maxDepth:
		return nil, fmt.Errorf("parse alerts: nested deeper than %d: %w", maxDepth, ErrMalformed)
	}
	return parse(body, now.UTC().Truncate(time.Millisecond))
}

func parse(body []byte, now time.Time) ([]Alert, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("parse alerts: no JSON array: %w", ErrMalformed)
	}
	var (
		alerts []Alert
		bad    InvalidError
		p      posted
	)
	for i := 0; d.More(); i++ {
		if i == MaxAlerts {
			return nil, fmt.Errorf("parse alerts: more than %d alerts: %w", MaxAlerts, ErrTooLarge)
		}
		a, err := decode(d, &p, now)
		var malformed *json.SyntaxError
		if errors.As(err, &malformed) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("parse alert %d: %w: %w", i, ErrMalformed, err)
		}
		if err != nil {
			bad = append(bad, Invalid{Index: i, Labels: a.Labels, Err: err})
			continue
		}
		alerts = append(alerts, a)
	}
	if err := end(d); err != nil {
		return nil, err
	}
	if bad != nil {
		return alerts, bad
	}
	return alerts, nil
}

// end reads the array's end, after which nothing may come.
func end(d *json.Decoder) error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("parse alerts: %w: %w", ErrMalformed, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("parse alerts: something after the array: %w", ErrMalformed)
	}
	return nil
}

// posted is an alert as Alertmanager's API names its parts.
type posted struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     instant           `json:"startsAt"`
	EndsAt       instant           `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL"`
}

// instant is an RFC 3339 time. No text, and any time up to the Unix epoch, is
// no time at all: that is how the zero times of several languages are written.
type instant struct{ at time.Time }

// UnmarshalText reads an RFC 3339 time and cuts it to milliseconds.
func (t *instant) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	at, err := time.Parse(time.RFC3339, string(b))
	if err != nil {
		return fmt.Errorf("time %q is not in RFC 3339", shorten(string(b), 40))
	}
	if at.UnixMilli() > 0 {
		t.at = at.UTC().Truncate(time.Millisecond)
	}
	return nil
}

// reset makes p as it was before anything was read, but for the room of its
// maps where that is not too large to clear for each alert.
func (p *posted) reset() {
	empty := posted{}
	if len(p.Labels) <= MaxLabels && len(p.Annotations) <= MaxLabels {
		clear(p.Labels)
		clear(p.Annotations)
		empty.Labels, empty.Annotations = p.Labels, p.Annotations
	}
	*p = empty
}

// decode reads the next alert by way of p. The error is the decoder's when the
// document is not sound.
func decode(d *json.Decoder, p *posted, now time.Time) (Alert, error) {
	p.reset()
	if err := d.Decode(p); err != nil { // or one value in it is of another type
		return Alert{Labels: labelSet(p.Labels)}, fmt.Errorf("read: %w", err)
	}
	a := Alert{
		Labels:       labelSet(p.Labels),
		Annotations:  labelSet(p.Annotations),
		StartsAt:     p.StartsAt.at,
		EndsAt:       p.EndsAt.at,
		GeneratorURL: followable(p.GeneratorURL),
		UpdatedAt:    now,
	}
	a.complete(now)
	return a, a.validate()
}

// complete fills in what the sender may leave out.
func (a *Alert) complete(now time.Time) {
	if a.StartsAt.IsZero() {
		a.StartsAt = now
		if !a.EndsAt.IsZero() && a.EndsAt.Before(now) {
			a.StartsAt = a.EndsAt
		}
	}
	if a.EndsAt.IsZero() {
		a.EndsAt = now.Add(ResolveTimeout)
	}
	a.State = Firing
	if !a.EndsAt.After(now) {
		a.State = Resolved
	}
}

func (a Alert) validate() error {
	if a.EndsAt.Before(a.StartsAt) {
		return errors.New("it ends before it starts")
	}
	if len(a.Labels) == 0 {
		return errors.New("it has no label with a value")
	}
	if err := validateSet(a.Labels, MaxLabel); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	if err := validateSet(a.Annotations, MaxAnnotation); err != nil {
		return fmt.Errorf("annotations: %w", err)
	}
	return nil
}

func validateSet(set model.LabelSet, longest int) error {
	if len(set) > MaxLabels {
		return fmt.Errorf("%d of them, %d are allowed", len(set), MaxLabels)
	}
	for name, value := range set {
		switch {
		case len(name) > MaxName || !model.UTF8Validation.IsValidLabelName(string(name)):
			return fmt.Errorf("name %q is empty, no UTF-8 or longer than %d bytes", shorten(string(name), 40), MaxName)
		case !value.IsValid() || strings.IndexByte(string(name), 0) >= 0 || strings.IndexByte(string(value), 0) >= 0:
			return fmt.Errorf("the value of %q is no UTF-8, or holds a NUL", shorten(string(name), 40)) // no database keeps that as text
		case len(value) > longest:
			return fmt.Errorf("the value of %q has %d bytes, %d are allowed", shorten(string(name), 40), len(value), longest)
		}
	}
	return nil
}

// labelSet returns what of m has a value.
func labelSet(m map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(m))
	for name, value := range m {
		if value != "" {
			set[model.LabelName(name)] = model.LabelValue(value)
		}
	}
	return set
}

// followable returns link when a browser may follow it, else "".
func followable(link string) string {
	u, err := url.Parse(link)
	if err != nil || len(link) > maxURL || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	return link
}

// depth returns how deep the arrays and objects of a JSON text nest.
func depth(body []byte) int {
	var now, deepest int
	var quoted, escaped bool
	for _, c := range body {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case c == '"':
			quoted = true
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}
