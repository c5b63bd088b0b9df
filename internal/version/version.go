// Package version says what this build is and where its source is, as section
// 13 of the AGPL asks of a program that is used over a network.
package version

import (
	"fmt"
	"runtime"
)

// Repository is where the source is published.
const Repository = "https://github.com/midwatch-slo/midwatch"

// Version and Commit are set by the linker ("make build").
var (
	Version = "unknown"
	Commit  = ""
)

// SourceURL returns where the source of this build is to be had.
func SourceURL() string {
	if Commit == "" {
		return Repository
	}
	return Repository + "/tree/" + Commit
}

// Text is what --version prints.
func Text() string {
	return fmt.Sprintf("midwatch %s (%s, %s/%s)\nlicence: AGPL-3.0-only\nsource:  %s",
		Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, SourceURL())
}
