package report

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"github.com/midwatch-slo/midwatch/alert"
	"github.com/midwatch-slo/midwatch/internal/golden"
)

func shanghai(t *testing.T) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// week is one with a night that somebody remembers.
func week(t *testing.T) Figures {
	from := time.Date(2026, 11, 16, 0, 0, 0, 0, shanghai(t))
	at := func(day, hour, minute int) time.Time {
		return from.AddDate(0, 0, day).Add(time.Duration(hour)*time.Hour + time.Duration(minute)*time.Minute).UTC()
	}
	return Figures{
		From: from, Until: from.AddDate(0, 0, 7),
		SLOs: []SLO{
			{Service: "user-center", Name: "login-availability", Objective: "99.9", Left: 0.93, Spent: 0.01},
			{Service: "payment-service", Name: "payment-availability", Objective: "99.95", Left: -0.12, Spent: 0.71},
			{Service: "search", Name: "latency", Objective: "99", Left: math.NaN(), Spent: math.NaN()},
		},
		Incidents: []alert.Incident{
			{ID: 4, Level: alert.P1, Service: "payment-service", Title: "payment-availability burns its error budget", OpenedAt: at(2, 3, 0), AckedAt: at(2, 3, 2), ResolvedAt: at(2, 4, 30)},
			{ID: 5, Level: alert.P2, Service: "user-center", Title: "logins are slow", OpenedAt: at(3, 14, 0), AckedAt: at(3, 14, 10), ResolvedAt: at(3, 14, 30)},
			{ID: 6, Level: alert.P2, Service: "user-center", Title: "logins are slow", OpenedAt: at(6, 23, 0)},
			{ID: 7, Level: alert.Info, Service: "search", Title: "traffic grows", OpenedAt: at(1, 9, 0), ResolvedAt: at(1, 9, 5)},
		},
		Pages: []Page{
			{User: "li.na", FullName: "李娜", At: at(2, 3, 0), Level: alert.P1},
			{User: "li.na", FullName: "李娜", At: at(2, 3, 5), Level: alert.P1},
			{User: "zhang.wei", At: at(3, 14, 0), Level: alert.P2},
		},
		Missing: []string{"beijing"},
	}
}

func TestReportGolden(t *testing.T) {
	f := week(t)
	for _, language := range []string{"en", "zh"} {
		r := Reader{Language: language, Location: shanghai(t)}
		golden.File(t, filepath.Join("testdata", language+".txt"), f.Title(r)+"\n\n"+f.Text(r)+"\n")
	}
}

func TestAQuietWeekSaysSo(t *testing.T) {
	f := Figures{From: time.Unix(0, 0), Until: time.Unix(0, 0).AddDate(0, 0, 7)}
	if got, want := f.Text(Reader{}), "No SLO is defined.\n\nNo incident.\n\nNobody was paged."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNightsAreThoseOfTheReader(t *testing.T) {
	f := week(t)
	if p := f.people(shanghai(t)); p[0].name != "李娜" || p[0].nights != 2 {
		t.Errorf("in Shanghai: %+v", p[0])
	}
	if p := f.people(time.UTC); p[1].name != "李娜" || p[1].nights != 0 {
		t.Errorf("in UTC, where it was 19:00: %+v", p[1])
	}
}
