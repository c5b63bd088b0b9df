package federation_test

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCases asks again what was once answered wrongly. Lines of
// testdata/federation/cases.txt are as a failed random test prints them.
func TestCases(t *testing.T) {
	f, err := os.Open(filepath.Join("..", "testdata", "federation", "cases.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	worlds := map[string]*world{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, when, lookback, query := parseCase(t, line)
		if worlds[name] == nil {
			worlds[name] = worldOf(t, name)
		}
		worlds[name].lookback = lookback
		worlds[name].compare(t, query, when)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// parseCase reads "world <name> | <start> <end> <step> <lookback> | <query>",
// in milliseconds, start and end since the data begins.
func parseCase(t *testing.T, line string) (name string, when window, lookbackDelta time.Duration, query string) {
	t.Helper()
	parts := strings.SplitN(strings.TrimPrefix(line, "world "), " | ", 3)
	var start, end, step, lookback int64
	if len(parts) != 3 {
		t.Fatalf("no case: %s", line)
	}
	if _, err := fmt.Sscan(parts[1], &start, &end, &step, &lookback); err != nil {
		t.Fatalf("no case: %s: %v", line, err)
	}
	return parts[0], window{at(millis(start)), at(millis(end)), millis(step)}, millis(lookback), parts[2]
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// worldOf returns the world of a name, such as "plain 7".
func worldOf(t testing.TB, name string) *world {
	t.Helper()
	if name == "traps" {
		return newWorld(t)
	}
	kind, number, _ := strings.Cut(name, " ")
	var seed uint64
	i := slices.IndexFunc(kinds, func(k worldKind) bool { return k.name == kind })
	if _, err := fmt.Sscan(number, &seed); err != nil || i < 0 {
		t.Fatalf("no world: %q", name)
	}
	return worldOfKind(t, i, seed)
}
