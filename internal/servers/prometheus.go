package servers

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// PrometheusSpec says how to run a Prometheus. Its data folder is Dir/data:
// blocks put there before it starts are served.
type PrometheusSpec struct {
	Name   string   // for errors
	Dir    string   // for configuration, data and log; it is created
	Listen string   // address; "" is a free one on loopback
	Config string   // prometheus.yml; paths in it are relative to Dir
	Flags  []string // added
	Old    bool     // it is a Prometheus 2: Debian's
}

// Prometheus is a running Prometheus.
type Prometheus struct {
	*Process
	URL string
}

// StartPrometheus runs the Prometheus that "make tools" built, or unpacked for
// an old one, and waits until it is ready.
func StartPrometheus(ctx context.Context, spec PrometheusSpec) (*Prometheus, error) {
	program := "prometheus"
	if spec.Old {
		program = "prometheus2"
	}
	path, err := Binary(program)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(spec.Dir, "prometheus.yml")
	if err := writeConfig(config, spec.Config); err != nil {
		return nil, err
	}
	addr, err := orFree(spec.Listen)
	if err != nil {
		return nil, err
	}
	url := "http://" + addr
	p, err := Start(ctx, Spec{
		Name: "prometheus " + spec.Name,
		Path: path,
		Args: append([]string{
			"--config.file=" + config,
			"--storage.tsdb.path=" + filepath.Join(spec.Dir, "data"),
			"--web.listen-address=" + addr,
			"--log.level=warn",
		}, spec.Flags...),
		LogFile: filepath.Join(spec.Dir, "prometheus.log"),
		Ready:   url + "/-/ready",
	})
	if err != nil {
		return nil, err
	}
	return &Prometheus{Process: p, URL: url}, nil
}

func writeConfig(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

func orFree(addr string) (string, error) {
	if addr != "" {
		return addr, nil
	}
	return FreeAddr()
}
