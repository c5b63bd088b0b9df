package replay_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/midwatch-slo/midwatch/rules/replay"
)

// folder makes a data folder with ten hours of a counter, the newest of them
// in the log alone.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := tsdb.Open(dir, nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	app := db.Appender(t.Context())
	for d := time.Duration(0); d <= 10*time.Hour; d += 15 * time.Second {
		if _, err := app.Append(0, labels.FromStrings(model.MetricNameLabel, "c"), epoch.Add(d).UnixMilli(), d.Seconds()); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(db.Blocks()); n == 0 {
		t.Fatal("no blocks")
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// steps returns at how many of the minutes of ten hours there is a rate.
func steps(t *testing.T, dir string) (int, string) {
	t.Helper()
	db, err := replay.OpenTSDB(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	m, err := db.Range(t.Context(), "rate(c[5m])", epoch.Add(time.Minute), epoch.Add(10*time.Hour), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if len(m) != 1 {
		t.Fatalf("%d series", len(m))
	}
	return len(m[0].Floats), db.Warning
}

func TestTSDBReadsBlocksAndLog(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := folder(t)
	if n, warning := steps(t, dir); n != 600 || warning != "" {
		t.Errorf("%d of 600 steps, warning %q", n, warning)
	}
	// A record is half written: what the blocks hold is read, and that there
	// is more is said.
	segments, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(segments, err)
	}
	for _, name := range segments {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(content) / 2; i < len(content); i++ {
			content[i] ^= 0x55
		}
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if n, warning := steps(t, dir); n < 300 || n >= 600 || !strings.Contains(warning, "log cannot be read") {
		t.Errorf("%d of 600 steps, warning %q", n, warning)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestTSDBRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, want := range map[string]string{dir: "not the data folder of a Prometheus", filepath.Join(dir, "none"): "no such file"} {
		if _, err := replay.OpenTSDB(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
