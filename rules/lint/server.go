package lint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// Server is a Prometheus, or what answers like one, that checks ask.
type Server interface {
	// Query answers PromQL at an instant.
	Query(ctx context.Context, query string, at time.Time) (model.Vector, error)
	// LabelValues returns the values that a label has in the series of a
	// selector since an instant.
	LabelValues(ctx context.Context, label, selector string, since time.Time) ([]string, error)
	// Type returns the type of a metric, such as counter, or "" when it is not
	// known.
	Type(ctx context.Context, metric string) (string, error)
	// Retention returns how long samples are kept, 0 when it is not known.
	Retention(ctx context.Context) (time.Duration, error)
}

// Prometheus asks a Prometheus by its HTTP API.
type Prometheus struct{ api v1.API }

var _ Server = Prometheus{}

// maxValues bounds how many values of a label are read.
const maxValues = 10_000

// NewPrometheus returns the Prometheus at a base URL, such as
// http://localhost:9090, asked by a client.
func NewPrometheus(url string, client *http.Client) (Prometheus, error) {
	c, err := api.NewClient(api.Config{Address: url, Client: client})
	if err != nil {
		return Prometheus{}, fmt.Errorf("prometheus %q: %w", url, err)
	}
	return Prometheus{api: v1.NewAPI(c)}, nil
}

// Query answers PromQL at an instant.
func (p Prometheus) Query(ctx context.Context, query string, at time.Time) (model.Vector, error) {
	value, _, err := p.api.Query(ctx, query, at)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", query, err)
	}
	switch v := value.(type) {
	case model.Vector:
		if slices.Contains(v, nil) { // null
			return nil, fmt.Errorf("query %s: a sample of the answer is none", query)
		}
		return v, nil
	case *model.Scalar:
		return model.Vector{{Value: v.Value, Timestamp: v.Timestamp}}, nil
	}
	return nil, fmt.Errorf("query %s: it gives a %s", query, value.Type())
}

// LabelValues returns the values that a label has in the series of a selector.
func (p Prometheus) LabelValues(ctx context.Context, label, selector string, since time.Time) ([]string, error) {
	values, _, err := p.api.LabelValues(ctx, label, []string{selector}, since, time.Time{}, v1.WithLimit(maxValues))
	if err != nil {
		return nil, fmt.Errorf("values of %s in %s: %w", label, selector, err)
	}
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	return out, nil
}

// Type returns the type that the metric's targets say it has.
func (p Prometheus) Type(ctx context.Context, metric string) (string, error) {
	found, err := p.api.Metadata(ctx, metric, "1")
	if err != nil {
		return "", fmt.Errorf("metadata of %s: %w", metric, err)
	}
	var types []string
	for _, m := range found[metric] {
		if m.Type != "" && m.Type != v1.MetricTypeUnknown && !slices.Contains(types, string(m.Type)) {
			types = append(types, string(m.Type))
		}
	}
	if len(types) != 1 {
		return "", nil // nobody says, or its targets differ
	}
	return types[0], nil
}

// Retention returns how long samples are kept, as the server's runtime
// information says.
func (p Prometheus) Retention(ctx context.Context) (time.Duration, error) {
	info, err := p.api.Runtimeinfo(ctx)
	if e, ok := errors.AsType[*v1.Error](err); ok && (e.Type == v1.ErrClient || e.Type == v1.ErrBadResponse) {
		return 0, nil // it is something else that answers queries
	}
	if err != nil {
		return 0, fmt.Errorf("retention: %w", err)
	}
	for part := range strings.SplitSeq(info.StorageRetention, " or ") { // 15d or 10GB
		if d, err := model.ParseDuration(strings.TrimSpace(part)); err == nil {
			return time.Duration(d), nil
		}
	}
	return 0, nil
}
