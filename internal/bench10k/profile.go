package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// busy is CPU time that Prometheus spent, in seconds.
type busy struct {
	rules  float64 // evaluating groups of rules and storing what they make
	marker float64 // collecting garbage in the background, of everything
}

// piece is how long one profile is: Prometheus answers within its timeouts.
const piece = time.Minute

// profile watches Prometheus for a time and returns what it spent in it.
func profile(ctx context.Context, dir, url string, d time.Duration) (busy, error) {
	var sum busy
	for left := d; left > 0; left -= piece {
		b, err := profilePiece(ctx, dir, url, min(left, piece))
		if err != nil {
			return busy{}, fmt.Errorf("profile: %w", err)
		}
		sum.rules += b.rules
		sum.marker += b.marker
	}
	return sum, nil
}

func profilePiece(ctx context.Context, dir, url string, d time.Duration) (busy, error) {
	body, err := get(ctx, fmt.Sprintf("%s/debug/pprof/profile?seconds=%.0f", url, d.Seconds()))
	if err != nil {
		return busy{}, err
	}
	defer body.Close()
	content, err := io.ReadAll(body)
	if err != nil {
		return busy{}, err
	}
	name := filepath.Join(dir, "cpu.pprof")
	if err := os.WriteFile(name, content, 0o644); err != nil {
		return busy{}, err
	}
	top, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-cum", "-nodefraction=0", "-nodecount=1000000", "-unit=ms", name).Output()
	if err != nil {
		return busy{}, err
	}
	return busy{rules: cumulative(top, "github.com/prometheus/prometheus/rules.(*Group).Eval"), marker: cumulative(top, "runtime.gcBgMarkWorker")}, nil
}

// cumulative returns the seconds of a function and all that it calls, of
// lines such as "0 0% 0% 4960ms 61.23% runtime.main".
func cumulative(top []byte, function string) float64 {
	lines := bufio.NewScanner(bytes.NewReader(top))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 6 && f[5] == function {
			ms, _ := strconv.ParseFloat(strings.TrimSuffix(f[3], "ms"), 64)
			return ms / 1000
		}
	}
	return 0
}
