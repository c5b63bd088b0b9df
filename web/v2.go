package web

import (
	"fmt"
	"net/http"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/silence"
)

// Bounds of the query parameters of Alertmanager's API.
const (
	maxFilters  = 32
	maxReceiver = 1 << 10 // bytes of an expression
)

func (h *Handler) unknownV2(_ http.ResponseWriter, r *http.Request) error {
	return notFound("nothing of Alertmanager's API is served at %s %s", r.Method, cut(r.URL.Path, 200))
}

// splitMethods answers GET, and HEAD, with one and any other method with the
// other.
func splitMethods(get, other answer) answer {
	return func(w http.ResponseWriter, r *http.Request) error {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			return get(w, r)
		}
		return other(w, r)
	}
}

// filterOf reads the matchers of a query parameter that may be repeated.
func filterOf(r *http.Request, name string) (labels.Matchers, error) {
	texts := r.URL.Query()[name]
	if len(texts) > maxFilters {
		return nil, badData("%s: more than %d of them", name, maxFilters)
	}
	ms, err := silence.ParseMatchers(texts)
	if err != nil {
		return nil, badData("%s: %v", name, err)
	}
	return ms, nil
}

// wanted reads a query parameter that is true or false, and true when it is
// missing.
func wanted(r *http.Request, name string) (bool, error) {
	if r.URL.Query().Get(name) == "" {
		return true, nil
	}
	return flag(r, name)
}

// receiverOf reads the expression that receivers must match in whole; nil
// matches all.
func receiverOf(r *http.Request) (*regexp.Regexp, error) {
	text := r.URL.Query().Get("receiver")
	if text == "" {
		return nil, nil
	}
	if len(text) > maxReceiver {
		return nil, badData("receiver: longer than %d bytes", maxReceiver)
	}
	re, err := regexp.Compile("^(?:" + text + ")$")
	if err != nil {
		return nil, badData("receiver: %v", err)
	}
	return re, nil
}

// alertmanagerVersion is the version of Alertmanager whose API this is: that
// of the library. Its tools warn of another than their own.
const alertmanagerVersion = "0.34.2"

// status answers what Alertmanager says of itself; what it is in truth is its
// revision. The configuration is one that its tools can read: the policies as
// receivers, and no secrets.
func (h *Handler) status(w http.ResponseWriter, _ *http.Request) error {
	var config strings.Builder
	names := h.Receivers()
	if len(names) == 0 {
		names = []string{"midwatch"}
	}
	fmt.Fprintf(&config, "# Midwatch routes by its own configuration. Its escalation policies are the receivers.\nroute:\n  receiver: %q\nreceivers:\n", names[0])
	for _, n := range names {
		fmt.Fprintf(&config, "  - name: %q\n", n)
	}
	return writeJSON(w, http.StatusOK, models.AlertmanagerStatus{
		Uptime:  dateTime(h.started),
		Config:  &models.AlertmanagerConfig{Original: new(config.String())},
		Cluster: &models.ClusterStatus{Status: new(models.ClusterStatusStatusDisabled), Peers: []*models.PeerStatus{}},
		VersionInfo: &models.VersionInfo{
			Version: new(alertmanagerVersion), GoVersion: new(runtime.Version()), Revision: new("midwatch " + h.Version),
			Branch: new(""), BuildUser: new(""), BuildDate: new(""),
		},
	})
}

// receivers answers the escalation policies. They have no labels.
func (h *Handler) receivers(w http.ResponseWriter, r *http.Request) error {
	of, err := filterOf(r, "receiver_matchers")
	if err != nil {
		return err
	}
	list := []*models.Receiver{}
	for _, name := range h.Receivers() {
		if of.Matches(nil) {
			list = append(list, &models.Receiver{Name: new(name), Labels: models.LabelSet{}})
		}
	}
	return writeJSON(w, http.StatusOK, list)
}

func dateTime(t time.Time) *strfmt.DateTime { return new(strfmt.DateTime(t.UTC())) }

func labelsV2(set model.LabelSet) models.LabelSet {
	out := make(models.LabelSet, len(set))
	for name, value := range set {
		out[string(name)] = string(value)
	}
	return out
}
