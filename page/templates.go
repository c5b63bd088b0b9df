package page

import (
	"cmp"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"github.com/midwatch-slo/midwatch/internal/diag"
)

// The names that a file of templates may define to replace what is built in.
// Others are for their own use, and do not begin with "page." or "email.".
const (
	TemplateLead = "page.lead"  // the first line, a mail's subject
	TemplateText = "page.text"  // the whole text of channels that show text
	TemplateHTML = "email.html" // the HTML part of a mail, escaped as its places need
)

func replaceable() []string { return []string{TemplateLead, TemplateText, TemplateHTML} }

// maxTemplateFile bounds a file of templates, in bytes.
const maxTemplateFile = 1 << 20

// Templates are an operator's words in place of the built-in ones. They may be
// used from several goroutines.
type Templates struct {
	names []string // of those above, which are defined
	text  *template.Template
	html  *htmltemplate.Template // never executed, only its clones are
	files []string               // by the number in the names under which they were parsed
}

// Rendered is what templates made of a page; "" is left to the built-in words.
type Rendered struct{ Lead, Text, HTML string }

// LoadTemplates reads files of Go templates (text/template) and renders a
// sample page of each kind in each language with them. The error is
// diag.Problems with all that is wrong.
func LoadTemplates(files []string) (*Templates, error) {
	t := &Templates{files: files, text: template.New("").Option("missingkey=error").Funcs(functions(nil))}
	var problems diag.Problems
	for i := range files {
		problems = append(problems, t.load(i)...)
	}
	if len(problems) > 0 {
		return nil, problems.Err()
	}
	t.html = htmltemplate.New("").Option("missingkey=error").Funcs(htmltemplate.FuncMap(functions(nil)))
	for _, defined := range t.text.Templates() {
		guard(defined.Tree)
		if _, err := t.html.AddParseTree(defined.Name(), defined.Copy()); err != nil {
			return nil, t.problem(err)
		}
	}
	slices.SortFunc(t.names, func(a, b string) int { // the lead first, which the others use
		return cmp.Compare(slices.Index(replaceable(), a), slices.Index(replaceable(), b))
	})
	if err := t.try().Err(); err != nil {
		return nil, err
	}
	return t, nil
}

// load reads the file of a number.
func (t *Templates) load(number int) diag.Problems {
	file := t.files[number]
	source, err := os.ReadFile(file)
	switch {
	case err != nil:
		return diag.Problems{{File: file, Message: "read: " + err.Error()}}
	case len(source) > maxTemplateFile:
		return diag.Problems{{File: file, Message: fmt.Sprintf("%d bytes, %d are allowed", len(source), maxTemplateFile)}}
	case !utf8.Valid(source):
		return diag.Problems{{File: file, Message: "not in UTF-8"}}
	}
	parsed, err := template.New(parseName(number)).Funcs(functions(nil)).Parse(string(source))
	if err != nil {
		return diag.Problems{t.problem(err)}
	}
	return t.add(file, parsed)
}

// add takes over what a file defines.
func (t *Templates) add(file string, parsed *template.Template) (problems diag.Problems) {
	for _, defined := range parsed.Templates() {
		name := defined.Name()
		known := slices.Contains(replaceable(), name)
		problem := diag.Problem{File: file, Field: name}
		if m := at.FindStringSubmatch(where(defined)); m != nil {
			problem.Line, _ = strconv.Atoi(m[1])
		}
		switch {
		case defined == parsed:
			if !parse.IsEmptyTree(defined.Root) {
				problem.Field, problem.Message, problem.Hint = "", "text outside of definitions is shown nowhere", `put it between {{define "page.text"}} and {{end}}`
				problems = append(problems, problem)
			}
			continue
		case t.text.Lookup(name) != nil:
			problem.Message = "defined in another file already"
		case !known && (strings.HasPrefix(name, "page.") || strings.HasPrefix(name, "email.")):
			problem.Message, problem.Hint = "nothing of this name can be replaced", "want page.lead, page.text or email.html"
		}
		if problem.Message != "" {
			problems = append(problems, problem)
			continue
		}
		if known {
			t.names = append(t.names, name)
		}
		if _, err := t.text.AddParseTree(name, defined.Tree); err != nil {
			problems = append(problems, t.problem(err))
		}
	}
	return problems
}

// at finds the line of a place in a file.
var at = regexp.MustCompile(`^file#\d+:(\d+):`)

// where returns the place at which a definition begins.
func where(t *template.Template) string {
	location, _ := t.ErrorContext(t.Root)
	return location
}

// parseName names a file in errors by what needs no quoting.
func parseName(number int) string { return "file#" + strconv.Itoa(number) }

// place finds where an error of either template package is.
var place = regexp.MustCompile(`(?s)template: ?file#(\d+):(\d+):(?:(\d+):)? (.*)`)

// problem returns an error of a template with its place.
func (t *Templates) problem(err error) diag.Problem {
	if bound, ok := errors.AsType[boundError](err); ok {
		return diag.Problem{Message: bound.Error()}
	}
	m := place.FindStringSubmatch(err.Error())
	if m == nil {
		return diag.Problem{Message: clean(err.Error(), maxProblem)}
	}
	var p diag.Problem
	number, _ := strconv.Atoi(m[1])
	if number < len(t.files) {
		p.File = t.files[number]
	}
	p.Line, _ = strconv.Atoi(m[2])
	if column, err := strconv.Atoi(m[3]); err == nil {
		p.Column = column + 1
	}
	p.Message = clean(m[4], maxProblem)
	return p
}

const maxProblem = 400 // characters

// try renders samples, and returns what goes wrong with them, each once. It
// ends with a template that goes beyond its bounds, since one took its time.
func (t *Templates) try() (problems diag.Problems) {
	for _, p := range samples() {
		_, failures := t.render(p)
		for _, failed := range failures {
			problem := failed.Problem
			problem.File = cmp.Or(problem.File, strings.Join(t.files, ", "))
			problem.Hint = fmt.Sprintf("seen with a page of the kind %s in %s", p.Kind, p.To.Lang())
			if !slices.ContainsFunc(problems, func(d diag.Problem) bool { return d.Place() == problem.Place() && d.Message == problem.Message }) {
				problems = append(problems, problem)
			}
			if failed.Beyond {
				return problems
			}
		}
	}
	return problems
}
