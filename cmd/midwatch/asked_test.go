package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A password in an address is not printed, whatever is wrong with the address.
func TestAddressesOfPrometheusAreToldWithoutPasswords(t *testing.T) {
	slos := written(t, askedSLO)
	for _, address := range []string{
		"http://me:hunter2@127.0.0.1:1", "ftp://me:hunter2@shop", "me:hunter2@shop:9090", "http://me:hunter2@shop:port", "http://me:hunter%zz2@shop",
		"http://127.0.0.1:1/?token=hunter2",
	} {
		for _, args := range [][]string{
			{"lint", "--prometheus", address, slos},
			{"compile", "--prometheus", address, "--out", t.TempDir(), slos},
			{"simulate", "--from", "2026-10-01", "--to", "2026-10-02", "--timeout", "1ms", "--prometheus", address, slos},
			{"explain", "shop/availability", slos, "--prometheus", address},
		} {
			if args[0] == "simulate" && strings.HasSuffix(address, "@127.0.0.1:1") {
				continue // it tries again for long
			}
			got := runHere(t, args...)
			if got.code == exitOK || strings.Contains(got.stdout+got.stderr, "hunter") {
				t.Errorf("%s %s: %+v", args[0], address, got)
			}
		}
	}
}

// A file of incidents that is too large is not read in part.
func TestIncidentsAreReadWholeOrNotAtAll(t *testing.T) {
	name := filepath.Join(t.TempDir(), "incidents.yaml")
	one := "- {name: a, from: 2026-10-01T00:00:00Z, to: 2026-10-02T00:00:00Z}\n"
	for repeated, want := range map[int]string{2: "", maxRead/len(one) + 1: "larger than 4 MiB"} {
		if err := os.WriteFile(name, []byte(strings.Repeat(one, repeated)), 0o600); err != nil {
			t.Fatal(err)
		}
		known, err := knownIncidents(name, nil)
		if want == "" && (err != nil || len(known) != repeated) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%d times: %d incidents: %v", repeated, len(known), err)
		}
	}
}
