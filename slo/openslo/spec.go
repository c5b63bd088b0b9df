package openslo

import (
	"errors"

	"go.yaml.in/yaml/v3"

	"github.com/midwatch-slo/midwatch/internal/yamldoc"
	"github.com/midwatch-slo/midwatch/slo"
)

// object is what all kinds are.
type object[S any] struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       S        `yaml:"spec"`
}

type metadata struct {
	Name        string            `yaml:"name"`
	DisplayName string            `yaml:"displayName"`
	Labels      map[string]values `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// values are those of a label: one or a list.
type values []string

// UnmarshalYAML takes a text or a list of texts.
func (v *values) UnmarshalYAML(n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	for _, item := range items {
		if item.Kind != yaml.ScalarNode {
			return errors.New("want a text or a list of texts")
		}
		*v = append(*v, item.Value)
	}
	return nil
}

type sloSpec struct {
	Description     string       `yaml:"description"`
	Service         string       `yaml:"service"`
	Indicator       *inlineSLI   `yaml:"indicator"`
	IndicatorRef    string       `yaml:"indicatorRef"`
	TimeWindow      []timeWindow `yaml:"timeWindow"`
	BudgetingMethod string       `yaml:"budgetingMethod"`
	Objectives      []objective  `yaml:"objectives"`
	AlertPolicies   []policyItem `yaml:"alertPolicies"`
}

// inlineSLI is an SLI within an SLO.
type inlineSLI struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata"`
	Spec       sliSpec  `yaml:"spec"`
}

type timeWindow struct {
	Duration  string    `yaml:"duration"`
	IsRolling *bool     `yaml:"isRolling"`
	Calendar  *calendar `yaml:"calendar"`
}

type calendar struct {
	StartTime string `yaml:"startTime"`
	TimeZone  string `yaml:"timeZone"`
}

type objective struct {
	DisplayName     string     `yaml:"displayName"`
	Op              string     `yaml:"op"`
	Value           slo.Number `yaml:"value"`
	Target          slo.Number `yaml:"target"`
	TargetPercent   slo.Number `yaml:"targetPercent"`
	TimeSliceTarget slo.Number `yaml:"timeSliceTarget"`
	TimeSliceWindow slo.Number `yaml:"timeSliceWindow"`
	Indicator       *inlineSLI `yaml:"indicator"`
	IndicatorRef    string     `yaml:"indicatorRef"`
	CompositeWeight slo.Number `yaml:"compositeWeight"`
}

type sliSpec struct {
	Description     string       `yaml:"description"`
	ThresholdMetric *metric      `yaml:"thresholdMetric"`
	RatioMetric     *ratioMetric `yaml:"ratioMetric"`
}

type ratioMetric struct {
	Counter *bool   `yaml:"counter"`
	Good    *metric `yaml:"good"`
	Bad     *metric `yaml:"bad"`
	Total   *metric `yaml:"total"`
	RawType string  `yaml:"rawType"`
	Raw     *metric `yaml:"raw"`
}

type metric struct {
	MetricSource metricSource `yaml:"metricSource"`
}

type metricSource struct {
	MetricSourceRef string      `yaml:"metricSourceRef"`
	Type            string      `yaml:"type"`
	Spec            yamldoc.Raw `yaml:"spec"` // whatever the type of the source takes
}

// prometheusSpec is the spec of a metric source of type Prometheus.
type prometheusSpec struct {
	Query  string `yaml:"query"`
	PromQL string `yaml:"promql"` // as some tools write it
}

type serviceSpec struct {
	Description string `yaml:"description"`
}

type sourceSpec struct {
	Description       string `yaml:"description"`
	Type              string `yaml:"type"`
	ConnectionDetails any    `yaml:"connectionDetails"`
}

// policyItem is an alert policy within an SLO, or the name of one.
type policyItem struct {
	AlertPolicyRef string     `yaml:"alertPolicyRef"`
	APIVersion     string     `yaml:"apiVersion"`
	Kind           string     `yaml:"kind"`
	Metadata       metadata   `yaml:"metadata"`
	Spec           policySpec `yaml:"spec"`
}

type policySpec struct {
	Description         string          `yaml:"description"`
	AlertWhenNoData     bool            `yaml:"alertWhenNoData"`
	AlertWhenBreaching  *bool           `yaml:"alertWhenBreaching"`
	AlertWhenResolved   bool            `yaml:"alertWhenResolved"`
	Conditions          []conditionItem `yaml:"conditions"`
	NotificationTargets []targetItem    `yaml:"notificationTargets"`
}

// conditionItem is an alert condition within a policy, or the name of one.
type conditionItem struct {
	ConditionRef string        `yaml:"conditionRef"`
	APIVersion   string        `yaml:"apiVersion"`
	Kind         string        `yaml:"kind"`
	Metadata     metadata      `yaml:"metadata"`
	Spec         conditionSpec `yaml:"spec"`
}

type conditionSpec struct {
	Description string    `yaml:"description"`
	Severity    string    `yaml:"severity"`
	Condition   condition `yaml:"condition"`
}

type condition struct {
	Kind           string     `yaml:"kind"`
	Op             string     `yaml:"op"`
	Threshold      slo.Number `yaml:"threshold"`
	LookbackWindow string     `yaml:"lookbackWindow"`
	AlertAfter     string     `yaml:"alertAfter"`
}

// targetItem is a notification target within a policy, or the name of one.
type targetItem struct {
	TargetRef  string     `yaml:"targetRef"`
	APIVersion string     `yaml:"apiVersion"`
	Kind       string     `yaml:"kind"`
	Metadata   metadata   `yaml:"metadata"`
	Spec       targetSpec `yaml:"spec"`
}

type targetSpec struct {
	Description string `yaml:"description"`
	Target      string `yaml:"target"`
}
