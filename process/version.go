package process

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// builtVersion is set by the linker: -X wxgate/process.builtVersion=v1.2.3.
var builtVersion string //nolint:gochecknoglobals // the linker can set nothing else

// Built is the version, and what it was built with.
type Built struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// BuildVersion is that of this program.
func BuildVersion() Built {
	return Built{version(), runtime.Version(), runtime.GOOS, runtime.GOARCH}
}

// String is all of it in one line.
func (b Built) String() string {
	return fmt.Sprintf("wxgate %s %s %s/%s", b.Version, b.Go, b.OS, b.Arch)
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
