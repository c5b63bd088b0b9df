package page

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"math"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/diag"
)

// Bounds of one template's execution. What goes beyond them fails.
const (
	maxSteps    = 20_000      // turns of loops, and templates entered
	maxTime     = time.Second // looked at with each step
	maxRendered = 256 << 10   // bytes written
	maxValue    = 64 << 10    // bytes of a text that a function returns
	maxLead     = 200         // characters
	maxLine     = 2000        // characters
)

// Data is what a template is executed with: the built-in message, and what it
// was made of. What it was made of is as others wrote it; what a template
// makes of that is made safe after it: text is shown as text, without control
// characters, and HTML is escaped.
type Data struct {
	Message          // in the reader's language, and safe
	Text      string // the built-in text, whole
	Kind      Kind
	Level     alert.Level
	Language  string // zh or en
	At        time.Time
	To        Contact
	Incident  alert.Incident
	SLO       SLO
	Evidence  []Evidence
	Link      string           // to the incident's page
	Chart     htmltemplate.URL // of the picture that comes with a mail; "" when it has none
	Buttons   Buttons
	composing composer
}

// Clock writes an instant as the reader's clock shows it.
func (d Data) Clock(at time.Time) string { return d.composing.clock(at) }

// Span writes a length of time in the reader's language.
func (d Data) Span(span time.Duration) string { return d.composing.words().span(span) }

func (p Page) data() Data {
	d := Data{
		Message: p.Message(), Text: p.Text(0), Kind: p.Kind, Level: p.Level(), Language: p.To.Lang(), At: p.At, To: p.To,
		Incident: p.Incident, SLO: p.SLO, Evidence: p.Evidence, Link: p.Link, Buttons: p.Buttons(), composing: p.composer(),
	}
	if len(p.SLO.Standings) > 0 {
		d.Chart = htmltemplate.URL("cid:" + p.ChartID())
	}
	return d
}

// ChartID returns the Content-ID (RFC 2392) of the picture in a mail of the
// page.
func (p Page) ChartID() string {
	sum := sha256.Sum256([]byte(p.Key + "\x00" + p.At.UTC().Format(time.RFC3339Nano)))
	return "chart-" + hex.EncodeToString(sum[:12]) + "@midwatch"
}

// RenderError says that a template did not make its part of a page, which has
// the built-in words then.
type RenderError struct {
	Template string // its name
	Problem  diag.Problem
	Beyond   bool // it went beyond the bounds of an execution
}

// Error names the template, the place in its file and the cause.
func (e *RenderError) Error() string {
	return fmt.Sprintf("render %s: %s", e.Template, e.Problem.Error())
}

// Render returns the page worded by the templates. A template that fails
// leaves its part to the built-in words; the error joins a *RenderError for
// each, and the page can be sent all the same. Nil Templates change nothing.
func (t *Templates) Render(p Page) (Page, error) {
	if t == nil {
		return p, nil
	}
	made, failures := t.render(p)
	p.Rendered = made
	errs := make([]error, len(failures))
	for i, f := range failures {
		errs[i] = f
	}
	return p, errors.Join(errs...)
}

func (t *Templates) render(p Page) (made Rendered, failures []*RenderError) {
	p.Rendered = Rendered{}
	data := p.data()
	for _, name := range t.names {
		text, err := t.execute(name, data)
		if err == nil && strings.TrimSpace(text) == "" {
			err = errors.New("it wrote nothing")
		}
		if err != nil {
			_, beyond := errors.AsType[boundError](err)
			failures = append(failures, &RenderError{Template: name, Problem: t.problem(err), Beyond: beyond})
			continue
		}
		switch name {
		case TemplateLead: // the first: the others begin with it
			made.Lead = clean(text, maxLead)
			data.Lead = made.Lead
		case TemplateText:
			made.Text = cleanLines(text)
		case TemplateHTML:
			made.HTML = visible(text)
		}
	}
	return made, failures
}

// execute runs a template within bounds.
func (t *Templates) execute(name string, data Data) (text string, err error) {
	defer func() { // what a template calls could panic beyond what the library recovers
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	w, f := &bounded{}, functions(&steps{end: time.Now().Add(maxTime)})
	if name == TemplateHTML {
		clone, err := t.html.Clone()
		if err != nil {
			return "", err
		}
		err = clone.Funcs(htmltemplate.FuncMap(f)).ExecuteTemplate(w, name, data)
		return w.b.String(), err
	}
	clone, err := t.text.Clone()
	if err != nil {
		return "", err
	}
	err = clone.Funcs(f).ExecuteTemplate(w, name, data)
	return w.b.String(), err
}

// boundError is an execution that went beyond its bounds.
type boundError string

// Error says which bound.
func (e boundError) Error() string { return string(e) }

// bounded is a writer that takes no more than maxRendered bytes.
type bounded struct{ b strings.Builder }

var _ io.Writer = (*bounded)(nil)

// Write fails where the bound is passed.
func (w *bounded) Write(p []byte) (int, error) {
	if w.b.Len()+len(p) > maxRendered {
		return 0, boundError(fmt.Sprintf("it writes more than %d bytes", maxRendered))
	}
	return w.b.Write(p)
}

// steps counts what an execution does.
type steps struct {
	n   int
	end time.Time
}

// tickName is the function that guard puts into loops and templates.
const tickName = "midwatch_tick"

func (s *steps) tick() (bool, error) {
	if s == nil {
		return false, errors.New("not executed")
	}
	if s.n++; s.n > maxSteps {
		return false, boundError(fmt.Sprintf("it takes more than %d steps", maxSteps))
	}
	if time.Now().After(s.end) {
		return false, boundError(fmt.Sprintf("it takes longer than %s", maxTime))
	}
	return false, nil
}

// functions are what templates may call besides the built-in ones; those that
// make texts of any length are replaced.
func functions(s *steps) template.FuncMap {
	return template.FuncMap{
		tickName:  s.tick,
		"print":   func(a ...any) (string, error) { return short(fmt.Sprint(a...)) },
		"println": func(a ...any) (string, error) { return short(fmt.Sprintln(a...)) },
		"printf":  formatted,
		"join":    func(list []string, between string) (string, error) { return short(strings.Join(list, between)) },
		"upper":   func(text string) (string, error) { return short(strings.ToUpper(text)) },
		"lower":   func(text string) (string, error) { return short(strings.ToLower(text)) },
		"rate":    Rate,
		"percent": Percent,
		"clean":   func(text string) string { return clean(text, maxLine) },
		"fit":     func(limit int, text string) string { return fit(clean(text, maxLine), max(limit, 1)) },
		"number":  func(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) },
	}
}

// wide finds what makes printf write more than its format and its arguments
// have: widths and precisions of four digits, or of an argument's value.
var wide = regexp.MustCompile(`%[^a-zA-Z%]*(?:[0-9]{4}|\*)`)

func formatted(format string, a ...any) (string, error) {
	if len(format) > maxValue || wide.MatchString(format) {
		return "", boundError("printf is asked for a width or a precision beyond 999")
	}
	return short(fmt.Sprintf(format, a...))
}

func short(text string) (string, error) {
	if len(text) > maxValue {
		return "", boundError(fmt.Sprintf("it makes a text of more than %d bytes", maxValue))
	}
	return text, nil
}

// guard puts a call of tick at the beginning of the template and of each
// loop's body, so that none of them goes on for ever.
func guard(tree *parse.Tree) {
	tick := func() parse.Node {
		trees, err := parse.Parse("tick", "{{if "+tickName+"}}{{end}}", "", "", map[string]any{tickName: true})
		if err != nil {
			panic(err) // the text above is constant
		}
		return trees["tick"].Root.Nodes[0]
	}
	var walk func(*parse.ListNode)
	walk = func(list *parse.ListNode) {
		if list == nil {
			return
		}
		for _, n := range list.Nodes {
			switch n := n.(type) {
			case *parse.RangeNode:
				walk(n.List)
				walk(n.ElseList)
				n.List.Nodes = append([]parse.Node{tick()}, n.List.Nodes...)
			case *parse.IfNode:
				walk(n.List)
				walk(n.ElseList)
			case *parse.WithNode:
				walk(n.List)
				walk(n.ElseList)
			}
		}
	}
	walk(tree.Root)
	tree.Root.Nodes = append([]parse.Node{tick()}, tree.Root.Nodes...)
}

// cleanLines makes a text of several lines safe to show.
func cleanLines(text string) string {
	const most = 1000
	var lines []string
	for line := range strings.Lines(text) {
		if len(lines) == most {
			break
		}
		lines = append(lines, clean(line, maxLine))
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// visible takes control characters, and those that turn text around, out of
// HTML.
func visible(html string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(html, "\uFFFD"))
}
