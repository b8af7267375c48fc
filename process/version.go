package process

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// builtVersion is set by the linker: -X wxgate/process.builtVersion=v1.2.3.
var builtVersion string //nolint:gochecknoglobals // the linker can set nothing else

// VersionLine is the version, and the Go version and platform it was built with.
func VersionLine() string {
	return fmt.Sprintf("wxgate %s %s %s/%s", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// version is the one set by the linker, or the one that `go install module@version` recorded, or "dev".
func version() string {
	if builtVersion != "" {
		return builtVersion
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
