package rules

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Format is who reads the files that are written.
type Format string

// The formats.
const (
	// FormatPrometheus are rule files of Prometheus and of Thanos' ruler.
	FormatPrometheus Format = "prometheus"
	// FormatOperator are PrometheusRule objects of Prometheus Operator.
	FormatOperator Format = "operator"
	// FormatMimir are rule files with a namespace, as mimirtool loads them.
	FormatMimir Format = "mimir"
	// FormatVictoriaMetrics are rule files of vmalert.
	FormatVictoriaMetrics Format = "victoriametrics"
)

// Formats returns all formats, the usual one first.
func Formats() []Format {
	return []Format{FormatPrometheus, FormatOperator, FormatMimir, FormatVictoriaMetrics}
}

// Output says how a set is written.
type Output struct {
	Format    Format            // FormatPrometheus when it is not given
	Namespace string            // of the objects; only FormatOperator
	Labels    map[string]string // of the objects, besides Midwatch's own; only FormatOperator
	Sloth     bool              // add what Sloth's dashboards read: see ForSloth
}

// Check says what is wrong with it, such as labels that Kubernetes refuses.
func (o Output) Check() error { return o.defaults() }

func (o *Output) defaults() error {
	if o.Format == "" {
		o.Format = FormatPrometheus
	}
	switch o.Format {
	case FormatPrometheus, FormatMimir, FormatVictoriaMetrics:
		if o.Namespace != "" || len(o.Labels) > 0 {
			return fmt.Errorf("namespace and labels are of objects: format %s has none", o.Format)
		}
		return nil
	case FormatOperator:
		return o.checkObject()
	default:
		return fmt.Errorf("format %q is none of prometheus, operator, mimir and victoriametrics", o.Format)
	}
}

// Content returns the file as Prometheus reads it.
func (f File) Content() ([]byte, error) { return f.render(Output{Format: FormatPrometheus}, nil) }

// render appends the file, in a format, to b. What Loki evaluates is in the
// format of its own ruler, whoever evaluates the rest.
func (f File) render(o Output, b []byte) ([]byte, error) {
	w := &yamlWriter{b: append(b, header...)}
	if o.Sloth {
		var err error
		if f, err = f.forSloth(); err != nil {
			return nil, err
		}
	}
	switch {
	case o.Format == FormatOperator && !f.Logs():
		w.object(f, o)
	case o.Format == FormatMimir:
		w.line("namespace: " + f.namespace())
		w.groups(f.Groups)
	case o.Format == FormatVictoriaMetrics && !f.Logs():
		groups, err := victoria(f.Groups)
		w.groups(groups)
		w.err = errors.Join(w.err, err)
	default:
		w.groups(f.Groups)
	}
	if w.err != nil {
		return nil, fmt.Errorf("encode %s: %w", f.Name, w.err)
	}
	return w.b, nil
}

// The folders of a set's files, besides none: what is evaluated where the
// series of all clusters are, and what Loki's ruler evaluates.
const (
	FleetFolder = "fleet"
	LokiFolder  = "loki"
)

// Fleet says whether the file is evaluated over the series of all clusters.
func (f File) Fleet() bool { return path.Dir(f.Name) == FleetFolder }

// Logs says whether the file is evaluated by Loki's ruler.
func (f File) Logs() bool { return path.Dir(f.Name) == LokiFolder }

// namespace returns the file's name without folder and extension.
func (f File) namespace() string { return strings.TrimSuffix(path.Base(f.Name), extension) }

// checkName refuses a file whose name is not one of a set, such as one that
// leads out of the folder.
func (f File) checkName() error {
	folder, name := path.Split(f.Name)
	known := folder == "" || folder == FleetFolder+"/" || folder == LokiFolder+"/"
	if !known || !strings.HasPrefix(name, prefix) || !strings.HasSuffix(name, extension) || strings.ContainsAny(name, `\:`) {
		return fmt.Errorf("%q is no name of a file of rules", f.Name)
	}
	return nil
}

// serviceFile returns the name of the file of a service's SLOs.
func serviceFile(service string) string { return servicePrefix + service + extension }
