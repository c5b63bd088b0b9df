package incident

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/page"
)

const (
	drillTime = 15 * time.Minute // after which a drill that nobody acknowledges is over
	maxDrills = 200              // that Drills returns
)

// Exercise says whom a drill is for.
type Exercise struct {
	Labels model.LabelSet // by which the policy is found, as for an alert; severity is P1 unless they say P2 or P3
	User   string         // who is paged in the place of the policy's people; "" for those
}

// Drill pages whoever is on call, by the real path, with what is marked as an
// exercise, and returns its incident. It is over when somebody acknowledges
// it, or after 15 minutes. The error is ErrInvalid or ErrActor (wrapped), or
// the store's.
func (e *Engine) Drill(ctx context.Context, x Exercise, actor string) (id int64, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("begin drill: %w", err)
		}
	}()
	if actor == "" || len(actor) > maxActor || !utf8.ValidString(actor) {
		return 0, ErrActor
	}
	at := now()
	inc := e.exercise(x, at)
	if x.User != "" {
		if err := e.reachable(inc, inc.Assigned); err != nil {
			return 0, err
		}
	}
	err = e.c.Store.Update(ctx, func(tx Tx) (err error) {
		inc := inc
		if inc.ID, err = tx.AddIncident(inc); err != nil {
			return err
		}
		id = inc.ID
		if err := tx.AddDrill(id, actor, at); err != nil {
			return err
		}
		if err := tx.Audit(at, actor, alert.Via(ctx), "drill", fmt.Sprint("incident ", id), x.User); err != nil {
			return err
		}
		event := alert.Event{At: at, Kind: alert.EventOpened, Actor: actor, Text: "began the drill: nothing is wrong"}
		if err := tx.AddEvents(id, event); err != nil {
			return err
		}
		if err := e.advance(tx, &inc, page.Opened, at); err != nil {
			return err
		}
		return tx.SaveIncident(inc)
	})
	if err == nil {
		e.stir()
	}
	return id, err
}

// exercise returns the incident of a drill. It has no alerts: nothing
// silences, inhibits or resolves it.
func (e *Engine) exercise(x Exercise, at time.Time) alert.Incident {
	level := alert.Alert{Labels: x.Labels}.Level()
	if x.Labels[alert.LabelSeverity] == "" || level == alert.Info {
		level = alert.P1
	}
	inc := alert.Incident{
		Key:     boundKey("drill/" + base36(at) + "/" + part(string(x.Labels[alert.LabelService])) + "/" + part(x.User)),
		Service: string(x.Labels[alert.LabelService]),
		Title:   "Drill: please acknowledge",
		Level:   level, Status: alert.Open, Since: at, OpenedAt: at, Drill: true,
		Policy: e.c.Responders.Route(x.Labels).Policy,
	}
	if x.User != "" {
		inc.Assigned = []string{x.User}
	}
	return inc
}

// endDrill closes a drill. Messages that can be changed say so.
func (e *Engine) endDrill(tx Tx, inc *alert.Incident, text string, at time.Time) error {
	inc.Status, inc.ResolvedAt, inc.ResolvedBy, inc.NextPageAt = alert.Closed, at, inc.AckedBy, time.Time{}
	if err := tx.Supersede(inc.ID, at, "the drill is over"); err != nil {
		return err
	}
	if err := tx.AddEvents(inc.ID, alert.Event{At: at, Kind: alert.EventResolved, Actor: inc.AckedBy, Text: text}); err != nil {
		return err
	}
	return e.editOthers(tx, *inc, at, at, nil)
}

// Drills returns the last drills, at most 200, the newest first.
func (e *Engine) Drills(ctx context.Context) (drills []page.Drill, err error) {
	err = e.read(ctx, func(tx Tx) error {
		drills, err = tx.Drills(maxDrills)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list drills: %w", err)
	}
	return drills, nil
}
