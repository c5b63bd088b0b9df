// Package version says what this build is and where its source is, as section
// 13 of the AGPL asks of a program that is used over a network.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Repository is where the source is published.
const Repository = "https://github.com/midwatch-slo/midwatch"

// Version is set by the linker ("make build").
var Version = "unknown"

// Revision returns the commit that the binary was built from, "" when the
// build did not say.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}

// SourceURL returns where the source of this build is to be had.
func SourceURL() string {
	if rev := Revision(); rev != "" {
		return Repository + "/tree/" + rev
	}
	return Repository
}

// Text is what --version prints.
func Text() string {
	return fmt.Sprintf("midwatch %s (%s, %s/%s)\nlicence: AGPL-3.0-only\nsource:  %s",
		Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, SourceURL())
}
