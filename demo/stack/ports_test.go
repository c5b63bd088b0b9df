package stack

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/midwatch-slo/midwatch/demo/traffic"
)

func TestEveryServerHasAPortOfItsOwn(t *testing.T) {
	p, err := NewPorts(DefaultBase)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(p.all()), 5+3+3*len(traffic.Apps()); got != want {
		t.Errorf("%d addresses, want %d", got, want)
	}
}

func TestTakenPortIsNamed(t *testing.T) {
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := Ports{base: l.Addr().(*net.TCPAddr).Port - 4}
	if err := p.Free(t.Context()); err == nil || !strings.Contains(err.Error(), l.Addr().String()+" is taken, and Loki needs it") {
		t.Errorf("error %v", err)
	}
}

// Every address of the example configuration is one of the demo's, and moves
// with its first port.
func TestExampleMovesToOtherPorts(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "shop", "midwatch.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	p := Ports{base: 23000}
	moved := p.moved(string(b))
	if strings.Contains(moved, "127.0.0.1:18") {
		t.Errorf("an address has not moved:\n%s", moved)
	}
	for _, addr := range []string{p.Midwatch(), p.Prometheus(0), p.Prometheus(1), p.Prometheus(2), p.Loki(), p.WeCom(), p.SMTP()} {
		if !strings.Contains(moved, addr) {
			t.Errorf("the example lacks %s", addr)
		}
	}
}
