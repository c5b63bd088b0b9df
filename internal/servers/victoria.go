package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// VictoriaSpec says how to run a VictoriaMetrics.
type VictoriaSpec struct {
	Dir    string   // for data and log; it is created
	Listen string   // address; "" is a free one on loopback
	Flags  []string // added
}

// Victoria is a running VictoriaMetrics: one process that keeps whatever it is
// given for a hundred years.
type Victoria struct {
	*Process
	URL string
}

// StartVictoria runs the VictoriaMetrics that "make tools" unpacked, and waits
// until it is ready.
func StartVictoria(ctx context.Context, spec VictoriaSpec) (*Victoria, error) {
	path, err := Binary("victoria-metrics")
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(spec.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("start victoria-metrics: %w", err)
	}
	addr, err := orFree(spec.Listen)
	if err != nil {
		return nil, err
	}
	url := "http://" + addr
	p, err := Start(ctx, Spec{
		Name: "victoria-metrics", Path: path, LogFile: filepath.Join(spec.Dir, "victoria-metrics.log"), Ready: url + "/health",
		Args: append([]string{"-storageDataPath=" + filepath.Join(spec.Dir, "data"), "-httpListenAddr=" + addr, "-retentionPeriod=100y"}, spec.Flags...),
	})
	if err != nil {
		return nil, err
	}
	return &Victoria{Process: p, URL: url}, nil
}
