package lint

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/diag"
	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// subject is an SLO that is looked at.
type subject struct {
	slo      slo.SLO
	linter   *linter
	file     *file
	doc      *yaml.Node // nil for one that is not of the native format
	check    Check      // that looks now
	disabled map[string]bool
	unknown  []disable // comments that name no check, filled by the linter
	sides    []side
}

// file is a file that SLOs are in.
type file struct {
	yaml  *yamldoc.File // nil: it cannot be read again
	lines []string
}

// subject finds the place of an SLO in its file.
func (l *linter) subject(s slo.SLO) *subject {
	f, known := l.files[s.File]
	if !known {
		f = l.read(s.File)
		l.files[s.File] = f
	}
	out := &subject{slo: s, linter: l, file: f, disabled: map[string]bool{}, sides: sidesOf(s)}
	if f.yaml != nil {
		for _, doc := range f.yaml.Docs {
			name := yamldoc.Lookup(doc, "metadata.name")
			if name != doc && name.Value == s.Name && name.Line == s.Line && yamldoc.Lookup(doc, "apiVersion").Value == slo.APIVersion {
				out.doc = doc
			}
		}
	}
	for _, d := range f.disables(s.Line) {
		out.disabled[d.rule] = true
		out.unknown = append(out.unknown, d)
	}
	return out
}

func (l *linter) read(name string) *file {
	f := &file{}
	if l.o.Read == nil {
		return f
	}
	content, err := l.o.Read(name)
	if err != nil {
		return f
	}
	f.lines = strings.Split(string(content), "\n")
	if parsed, err := yamldoc.Parse(name, content); err == nil {
		f.yaml = parsed
	}
	return f
}

// disable is a comment that turns a check off for its document.
type disable struct {
	rule string
	line int
}

var disableComment = regexp.MustCompile(`#\s*midwatch-lint:\s*disable=([A-Za-z0-9_, -]+)`)

// disables returns the comments of the document that a line is in.
func (f *file) disables(line int) (out []disable) {
	from, to := 0, len(f.lines)
	for i, text := range f.lines {
		if !strings.HasPrefix(text, "---") {
			continue
		}
		if i < line {
			from = i
		} else {
			to = i
			break
		}
	}
	for i := from; i < to; i++ {
		m := disableComment.FindStringSubmatch(f.lines[i])
		if m == nil {
			continue
		}
		for rule := range strings.SplitSeq(m[1], ",") {
			out = append(out, disable{rule: strings.TrimSpace(rule), line: i + 1})
		}
	}
	return out
}

// unknownDisables finds comments that name no check.
func (l *linter) unknownDisables(checks []Check) {
	known := map[string]bool{}
	for _, c := range checks {
		known[c.Name] = true
	}
	told := map[string]bool{}
	for _, s := range l.subjects {
		for _, d := range s.unknown {
			key := fmt.Sprint(s.slo.File, d.line, d.rule)
			if known[d.rule] || told[key] {
				continue
			}
			told[key] = true
			l.found = append(l.found, Finding{Rule: "unknown-check", Severity: Warning, SLO: s.slo.ID(), Problem: diag.Problem{
				File: s.slo.File, Line: d.line, Message: fmt.Sprintf("%q is no check, so this comment turns nothing off", d.rule),
				Hint: "docs/lint.md lists the checks", Source: s.file.lines[d.line-1],
			}})
		}
	}
}

// add notes a finding at a field, named as in the native format such as
// spec.sli.events.total.
func (s *subject) add(field, hint, format string, args ...any) {
	s.addAs(s.check.Severity, field, hint, format, args...)
}

// addAs notes a finding that is not as bad, or worse, than the check's.
func (s *subject) addAs(severity Severity, field, hint, format string, args ...any) {
	if s.disabled[s.check.Name] {
		return
	}
	p := diag.Problem{File: s.slo.File, Line: s.slo.Line, Field: field}
	if s.doc != nil {
		p = s.file.yaml.At(yamldoc.Lookup(s.doc, field), field, "", "")
	}
	p.Message, p.Hint = fmt.Sprintf(format, args...), hint
	s.linter.found = append(s.linter.found, Finding{Rule: s.check.Name, Severity: severity, SLO: s.slo.ID(), Problem: p})
}
