package terminal

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimelineShowsElapsedTimeWithoutColours(t *testing.T) {
	synctest.Test(t, func(*testing.T) {
		var b bytes.Buffer
		term := New(&b, time.Now())
		time.Sleep(12340 * time.Millisecond) // of the test's own clock
		term.Say(Bad, "an alert fires:\n%s", "P1")
		term.Print("the end")
		want := "   12.3s  an alert fires:\n" + strings.Repeat(" ", 10) + "P1\nthe end\n"
		if b.String() != want {
			t.Errorf("printed %q, want %q", b.String(), want)
		}
	})
}
