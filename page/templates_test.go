package page

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/midwatch-slo/midwatch/alert"
)

// load writes files of templates and loads them; it returns their problems by
// the names of the files alone.
func load(t *testing.T, sources ...string) (*Templates, string) {
	t.Helper()
	var files []string
	dir := t.TempDir()
	for i, source := range sources {
		files = append(files, filepath.Join(dir, fmt.Sprintf("%c.tmpl", 'a'+i)))
		if err := os.WriteFile(files[i], []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := LoadTemplates(files)
	if err == nil {
		return loaded, ""
	}
	return loaded, strings.ReplaceAll(err.Error(), dir+"/", "")
}

// TestExampleOfTheManual holds docs/templates.md to what it says.
func TestExampleOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/templates.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, after, _ := strings.Cut(string(manual), "\n```"+language+"\n")
		text, _, ok := strings.Cut(after, "\n```")
		if !ok {
			t.Fatalf("no example of %s", language)
		}
		return text
	}
	templates, problems := load(t, block("gotemplate"), block("gotemplate-html"))
	if problems != "" {
		t.Fatal(problems)
	}
	p, err := templates.Render(outage())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(block("text"), p.Text(0)); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"<h1>[P1] PAYMENT-SERVICE opened</h1>", `<img src="cid:` + p.ChartID() + `"`, "/explore?left=%7B%7D\">Logs</a>"} {
		if !strings.Contains(p.Rendered.HTML, want) {
			t.Errorf("%s is not in %s", want, p.Rendered.HTML)
		}
	}
	if p.Subject() != "[P1] PAYMENT-SERVICE opened" {
		t.Errorf("the subject is %q", p.Subject())
	}
}

func TestProblemsOfTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		sources []string
		want    []string // beginnings of lines
	}{
		"syntax":   {[]string{"\n\n{{define \"page.lead\"}}{{if}}{{end}}"}, []string{"a.tmpl:3: missing value for if"}},
		"function": {[]string{"{{define \"page.lead\"}}\n{{exec 1}}{{end}}"}, []string{`a.tmpl:2: function "exec" not defined`}},
		"field":    {[]string{"{{define \"page.lead\"}}\n{{.Nothing}}{{end}}"}, []string{`a.tmpl:2:3: executing "page.lead" at <.Nothing>: can't evaluate field Nothing`}},
		"only sometimes": {
			[]string{"{{define `page.lead`}}{{(index .Incident.Alerts 0).Label `pod`}}x{{end}}"},
			[]string{`a.tmpl:1:26: executing "page.lead" at <index .Incident.Alerts 0>: error calling index: reflect: slice index out of range (seen with a page of the kind opened in en)`},
		},
		"unknown name":  {[]string{"x\n{{define \"page.leed\"}}x{{end}}"}, []string{"a.tmpl:1: text outside of definitions", `a.tmpl:2: page.leed: nothing of this name can be replaced (want page.lead`}},
		"twice":         {[]string{"{{define \"page.lead\"}}x{{end}}", "{{define \"page.lead\"}}x{{end}}"}, []string{"b.tmpl:1: page.lead: defined in another file already"}},
		"nothing":       {[]string{"{{define \"page.text\"}} {{end}}"}, []string{"a.tmpl: it wrote nothing"}},
		"no UTF-8":      {[]string{"\xff"}, []string{"a.tmpl: not in UTF-8"}},
		"unsafe HTML":   {[]string{"{{define \"email.html\"}}<a href='{{.Lead}}{{end}}"}, []string{"a.tmpl:"}},
		"for ever":      {[]string{`{{define "page.text"}}{{range 1000000000000}}{{end}}x{{end}}`}, []string{"a.tmpl: it takes "}},
		"itself":        {[]string{`{{define "page.text"}}{{template "page.text" .}}{{end}}`}, []string{"a.tmpl: it takes "}},
		"itself, twice": {[]string{`{{define "x"}}{{template "x"}}{{template "x"}}{{end}}{{define "email.html"}}{{template "x"}}{{end}}`}, []string{"a.tmpl: it takes "}},
		"long output":   {[]string{`{{define "page.text"}}{{range 19000}}a line that is not short, and its end{{end}}{{end}}`}, []string{"a.tmpl: it writes more than 262144 bytes"}},
		"long value":    {[]string{`{{define "page.lead"}}{{$x := "xxxxxxxx"}}{{range 100}}{{$x = printf "%s%s" $x $x}}{{end}}x{{end}}`}, []string{"a.tmpl: it makes a text of more than 65536 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := load(t, c.sources...)
			lines := strings.Split(problems, "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("%d problems: %s", len(lines), problems)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("got %q, want %q", lines[i], want)
				}
			}
		})
	}
	if _, err := LoadTemplates([]string{"/nowhere/a.tmpl"}); err == nil || !strings.HasPrefix(err.Error(), "/nowhere/a.tmpl: read: ") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestNoPageIsLostByTemplates lets one of three fail where no sample did.
func TestNoPageIsLostByTemplates(t *testing.T) {
	templates, problems := load(t,
		`{{define "page.lead"}}{{if eq .Incident.Service "checkout"}}{{index .Links 99}}{{end}}Own: {{.Lead}}{{end}}`,
		`{{define "page.text"}}{{.Lead}}{{"\n"}}own text{{end}}{{define "email.html"}}<p>{{.Incident.Title}}</p>{{end}}`)
	if problems != "" {
		t.Fatal(problems)
	}
	p := outage()
	p.Incident.Service, p.Incident.Title = "checkout", "<b>\u202e\x1b"
	got, err := templates.Render(p)
	var failed *RenderError
	if !errors.As(err, &failed) || failed.Template != TemplateLead || failed.Problem.Line != 1 {
		t.Errorf("got %v", err)
	}
	want := Rendered{Text: p.Subject() + "\nown text", HTML: "<p>&lt;b&gt;</p>"}
	if diff := cmp.Diff(want, got.Rendered); diff != "" || got.Subject() != p.Subject() {
		t.Errorf("subject %q: %s", got.Subject(), diff)
	}
	if none, err := (*Templates)(nil).Render(p); err != nil || none.Rendered != (Rendered{}) {
		t.Errorf("without templates: %+v, %v", none.Rendered, err)
	}
}

// TestTextOfTemplatesFits cuts it to every size; what matters stays.
func TestTextOfTemplatesFits(t *testing.T) {
	p := outage()
	p.Incident.Level = alert.P2
	p.Rendered.Text = "lead of its own\n\nfirst 连接池\nsecond\n" + p.Link + "\nhttps://other.example.com/\nlast"
	for limit := 1; limit <= len(p.Rendered.Text)+2; limit++ {
		got := p.Text(limit)
		switch {
		case len(got) > limit || !utf8.ValidString(got):
			t.Fatalf("limit %d: %q", limit, got)
		case limit >= 70 && (!strings.HasPrefix(got, "lead of its own\n") || !strings.Contains(got, p.Link)):
			t.Fatalf("limit %d: %q", limit, got)
		case strings.Contains(got, "https://o") && !strings.Contains(got, "https://other.example.com/"):
			t.Fatalf("limit %d: a cut link in %q", limit, got)
		}
	}
	if p.Text(0) != p.Rendered.Text {
		t.Errorf("got %q", p.Text(0))
	}
}

// FuzzTemplates lets anything be a template: it loads or has problems, and what
// loads renders every page within bounds.
func FuzzTemplates(f *testing.F) {
	f.Add(`{{.Lead}}{{range .Facts}}{{.Label}}{{end}}`)
	f.Add(`{{range 99999999}}{{end}}`)
	f.Add(`{{with .SLO}}{{printf "%9999999d" 1}}{{end}}{{template "page.text" .}}`)
	f.Add("{{define `x`}}{{end}}{{block `page.lead` .}}{{break}}{{end}}")
	f.Add(`<script>{{.Lead}}</script><a href="{{.Link}}">{{.Chart}}`)
	f.Fuzz(func(t *testing.T, body string) {
		file := filepath.Join(t.TempDir(), "f.tmpl")
		source := `{{define "page.text"}}` + body + `{{end}}{{define "email.html"}}` + body + `{{end}}`
		if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		templates, err := LoadTemplates([]string{file})
		if err != nil {
			return
		}
		p, _ := templates.Render(outage())
		if got := p.Text(500); len(got) > 500 || !utf8.ValidString(got) || len(p.Rendered.HTML) > 4*maxRendered {
			t.Errorf("%d bytes of text, %d of HTML", len(got), len(p.Rendered.HTML))
		}
	})
}
