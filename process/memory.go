package process

import (
	"bufio"
	"bytes"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"wxgate/config/strictyaml"
)

// limitMemory sets the soft limit of the Go runtime to four fifths of what the cgroup may use, unless GOMEMLIMIT says
// something else or the cgroup has no limit. Below the limit the collector works as GOGC says; near it, it works harder
// instead of letting the kernel kill the process. The rest is for what the runtime does not count: buffers of sockets
// and the pages of mapped files.
func limitMemory(system fs.FS, env strictyaml.LookupEnv, log *slog.Logger) {
	if _, set := env("GOMEMLIMIT"); set {
		return
	}
	limit := cgroupMemory(system)
	if limit == math.MaxInt64 {
		return
	}
	limit = limit / 5 * 4
	debug.SetMemoryLimit(limit)
	log.Debug("memory is limited by the cgroup", "go_bytes", limit)
}

// cgroupMemory returns how many bytes the cgroup of this process may use, math.MaxInt64 if as many as it wants. The
// limits of all groups above apply too. system is the root of the file system.
func cgroupMemory(system fs.FS) int64 {
	limit := int64(math.MaxInt64)
	groups, err := fs.ReadFile(system, "proc/self/cgroup")
	if err != nil {
		return limit // not Linux
	}
	for lines := bufio.NewScanner(bytes.NewReader(groups)); lines.Scan(); {
		// hierarchy:controllers:path; the unified hierarchy has no controllers (cgroups(7))
		_, rest, _ := strings.Cut(lines.Text(), ":")
		controllers, group, _ := strings.Cut(rest, ":")
		switch controllers {
		case "":
			limit = min(limit, lowestLimit(system, "sys/fs/cgroup", group, "memory.max"))
		case "memory":
			limit = min(limit, lowestLimit(system, "sys/fs/cgroup/memory", group, "memory.limit_in_bytes"))
		}
	}
	return limit
}

// lowestLimit is the lowest limit of a group and the groups above it. In a container the path may be one of the host,
// which does not exist; the root is then the group of the container.
func lowestLimit(system fs.FS, root, group, file string) int64 {
	limit := int64(math.MaxInt64)
	for group = path.Join("/", group); ; group = path.Dir(group) {
		text, err := fs.ReadFile(system, path.Join(root, group, file))
		if n, numeric := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && numeric == nil && n > 0 {
			limit = min(limit, n)
		}
		if group == "/" {
			return noLimit(limit)
		}
	}
}

// noLimit returns math.MaxInt64 for the huge number that cgroups v1 have instead of a word: the largest page.
func noLimit(limit int64) int64 {
	if limit >= math.MaxInt64-int64(os.Getpagesize()) {
		return math.MaxInt64
	}
	return limit
}
