package main

import (
	"context"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the scripts run this program by its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"midwatch": func() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

// atOnce keeps commands under the race detector from lingering for a second
// each.
const atOnce = "atexit_sleep_ms=0"

// TestScripts runs one file a behaviour: the command, what it prints and its
// exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireUniqueNames: true, Setup: func(env *testscript.Env) error {
		env.Setenv("GORACE", atOnce)
		return nil
	}})
}
