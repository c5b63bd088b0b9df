package incident

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

// factsOfStory bounds how long a reader of a story waits for the SLO's standing.
const factsOfStory = 3 * time.Second

// Story is all that is known of an incident.
type Story struct {
	Incident alert.Incident  `json:"incident"`
	Events   []alert.Event   `json:"events"` // oldest first
	Evidence []page.Evidence `json:"evidence"`
	SLO      page.SLO        `json:"slo"` // as it stands now
}

// Get returns the story of an incident. The error is ErrNotFound (wrapped) or
// the store's.
func (e *Engine) Get(ctx context.Context, id int64) (Story, error) {
	var s Story
	err := e.read(ctx, func(tx Tx) (err error) {
		if s.Incident, err = get(tx, id); err != nil {
			return err
		}
		if s.Events, err = tx.Events(id); err != nil {
			return err
		}
		s.Evidence, _, err = tx.Evidence(id)
		return err
	})
	if err != nil {
		return Story{}, fmt.Errorf("get incident %d: %w", id, err)
	}
	s.SLO = e.facts(ctx, s.Incident, factsOfStory)
	return s, nil
}

// describe says in one line what happened to alerts, such as
// "fires: 2 alerts: SLOErrorBudgetBurn (beijing, hangzhou)".
func describe(verb string, alerts []*alert.Alert) string {
	var names, clusters []string
	for _, a := range alerts {
		names = append(names, a.Label("alertname"))
		if c := a.Label(alert.LabelCluster); c != "" {
			clusters = append(clusters, c)
		}
	}
	subject := few(names)
	if len(alerts) > 1 {
		subject = fmt.Sprintf("%d alerts: %s", len(alerts), subject)
	}
	text := fmt.Sprintf("%s: %s", verb, subject)
	if len(clusters) > 0 {
		text += " (" + few(clusters) + ")"
	}
	return text
}

// few joins the first of the distinct names and counts the rest.
func few(names []string) string {
	const shown = 5
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) <= shown {
		return cut(strings.Join(names, ", "), 300)
	}
	return fmt.Sprintf("%s and %d more", cut(strings.Join(names[:shown], ", "), 300), len(names)-shown)
}
