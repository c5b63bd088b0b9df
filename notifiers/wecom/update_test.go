package wecom

import (
	"testing"

	"github.com/midwatch-slo/midwatch/alert"
	standin "github.com/midwatch-slo/midwatch/internal/standin/wecom"
	"github.com/midwatch-slo/midwatch/notifiers/robot/robottest"
	"github.com/midwatch-slo/midwatch/page"
)

func TestAnUpdateIsKeptForWhatMatters(t *testing.T) {
	o := newOffice(t)
	_, p := o.page(t, nil)
	p.Kind, p.Key = page.Updated, "update"
	update := func(name string, want int) {
		t.Helper()
		if ref, err := o.Send(t.Context(), p); err != nil || ref != p.Ref {
			t.Errorf("%s: reference %q, %v", name, ref, err)
		}
		if n := o.provider.Counts().Updates; n != want {
			t.Errorf("%s: %d updates, want %d", name, n, want)
		}
	}
	update("an alert joined", 0)
	p.Incident.Status, p.Incident.AckedBy, p.Incident.AckedAt = alert.Acknowledged, "ana", p.At
	update("acknowledged", 1)
	if got := o.last().Card.Desc; got != "Acknowledged by ana at 03:02:31" {
		t.Errorf("the card says %q", got)
	}
	p.Incident.Status = alert.Closed
	update("the code is spent", 1)
	o.cards, o.codes = newRecent[shownCard](1), newRecent[struct{}](1)
	update("spent before a restart", 2) // the provider refuses; the card is left
	if n := len(o.provider.Messages()); n != 1 {
		t.Errorf("%d messages", n)
	}
}

func TestAnAcknowledgementByClickLeavesTheCodeForTheEnd(t *testing.T) {
	o := newOffice(t)
	card, p := o.page(t, nil)
	o.press(t, card, "Acknowledge")
	o.settle()
	p.Kind, p.Incident.Status, p.Incident.AckedBy, p.Incident.AckedAt = page.Updated, alert.Acknowledged, "li.wei", p.At
	if _, err := o.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if n := o.provider.Counts().Updates; n != 1 {
		t.Errorf("%d updates after the click's own", n)
	}
	p.Incident.Status, p.Incident.ResolvedAt = alert.Closed, p.At
	if _, err := o.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if got := o.last().Card; got.Replaced != "Resolved at 03:02:31" || len(got.Buttons) != 0 {
		t.Errorf("the card: %+v", got)
	}
}

func TestAnUpdateThatFailsWakesNobody(t *testing.T) {
	o := newOffice(t)
	_, p := o.page(t, nil)
	p.Kind, p.Incident.Status, p.Incident.AckedBy = page.Updated, alert.Acknowledged, "ana"
	for attempt := range maxTries {
		o.provider.Fail(standin.Busy)
		p.Attempt = attempt + 1
		if _, err := o.Send(t.Context(), p); (err != nil) != (p.Attempt < maxTries) || err != nil && !robottest.SendError(t, err).Temporary {
			t.Errorf("attempt %d: %v", p.Attempt, err)
		}
	}
	o.clock.Advance(codeLife)
	before := o.provider.Counts().Updates
	if _, err := o.Send(t.Context(), p); err != nil || o.provider.Counts().Updates != before {
		t.Errorf("an expired code: %v", err)
	}
}

func TestANewerMessageTakesTheButtonsOfTheOlder(t *testing.T) {
	o := newOffice(t)
	_, p := o.page(t, nil)
	older := p
	p.Kind, p.Key = page.Escalated, "newer"
	ref, err := o.Send(t.Context(), p)
	if err != nil || ref == older.Ref {
		t.Fatalf("reference %q, %v", ref, err)
	}
	o.settle()
	all := o.provider.Messages()
	if len(all) != 2 || all[0].Card.Replaced != "See the newer message" || len(all[1].Card.Buttons) != 2 {
		t.Errorf("messages %+v", all)
	}
	p.Kind, p.Key, p.Ref, p.Incident.Status, p.Incident.ResolvedAt = page.Resolved, "over", ref, alert.Closed, p.At
	if _, err := o.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	o.settle()
	all = o.provider.Messages()
	if len(all) != 3 || all[2].Type != "text" || all[1].Card.Replaced != "Resolved at 03:02:31" {
		t.Errorf("messages %+v", all)
	}
}

func TestARepeatedCardIsShownOnce(t *testing.T) {
	o := newOffice(t)
	p := pageTo("LiWei", "in doubt")
	o.provider.Fail(standin.HalfBody)
	if err := o.send(t.Context(), p); err == nil {
		t.Fatal("half an answer is an answer")
	}
	p.SLO.Standings[0].BurnRate = 31
	if err := o.send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if n, c := len(o.provider.Messages()), o.provider.Counts(); n != 1 || c.Duplicates != 1 {
		t.Errorf("%d messages, %+v", n, c)
	}
}

func TestInheritKeepsWhatIsKnown(t *testing.T) {
	o := newOffice(t)
	card, _ := o.page(t, nil)
	c := o.config
	next, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	next.Inherit(o.Notifier)
	o.handler = next.Handler(o.desk, nil)
	o.press(t, card, "Acknowledge")
	next.Close()
	if got := o.last().Card.Desc; got != "Acknowledged by liwei at 03:00:00" {
		t.Errorf("the card says %q", got)
	}
}
