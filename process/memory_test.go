package process

import (
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
)

// files is a file system of texts.
func files(texts map[string]string) fstest.MapFS {
	all := make(fstest.MapFS)
	for name, text := range texts {
		all[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return all
}

func TestTheLimitOfTheCgroupIsFound(t *testing.T) {
	t.Parallel()
	const none = math.MaxInt64
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups": {nil, none},
		"a container": {map[string]string{
			"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		"a container that sees the path of the host": {map[string]string{
			"proc/self/cgroup": "0::/kubepods/pod1/abc\n", "sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 << 20},
		"a unit of systemd": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/wxgate.service\n", "sys/fs/cgroup/system.slice/wxgate.service/memory.max": "1073741824\n",
			"sys/fs/cgroup/system.slice/memory.max": "max\n",
		}, 1 << 30},
		"a slice that is smaller than its unit": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/wxgate.service\n", "sys/fs/cgroup/system.slice/wxgate.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max": "268435456\n",
		}, 256 << 20},
		"no limit":       {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, none},
		"no controller":  {map[string]string{"proc/self/cgroup": "0::/\n"}, none},
		"an odd text":    {map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "-1\n"}, none},
		"an odd cgroup":  {map[string]string{"proc/self/cgroup": "x\n\n::\n", "sys/fs/cgroup/memory.max": "4096\n"}, 4096},
		"a path with ..": {map[string]string{"proc/self/cgroup": "0::/../../a\n", "sys/fs/cgroup/a/memory.max": "8192\n"}, 8192},
		"version 1": {map[string]string{
			"proc/self/cgroup":                           "11:cpu,cpuacct:/docker/a\n9:memory:/docker/a\n1:name=systemd:/docker/a\n0::/system.slice\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n",
		}, 512 << 20},
		"version 1 without a limit": {map[string]string{
			"proc/self/cgroup": "9:memory:/\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": fmt.Sprintln(math.MaxInt64 - int64(os.Getpagesize()) + 1),
		}, none},
	} {
		if got := cgroupMemory(files(c.files)); got != c.want {
			t.Errorf("%s: got %d bytes, want %d", name, got, c.want)
		}
	}
}

// TestTheOperatorHasTheLastWordOnMemory changes the limit of this process, so nothing runs beside it.
func TestTheOperatorHasTheLastWordOnMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	container := files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "5368709120\n"})
	limitMemory(container, func(name string) (string, bool) { return "1GiB", name == "GOMEMLIMIT" }, slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("with GOMEMLIMIT the limit became %d, want %d as the runtime has set it", got, before)
	}
	unset := func(string) (string, bool) { return "", false }
	limitMemory(files(nil), unset, slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got != before {
		t.Errorf("without a cgroup the limit became %d, want %d", got, before)
	}
	var said strings.Builder
	limitMemory(container, unset, slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if got := debug.SetMemoryLimit(-1); got != 4<<30 || !strings.Contains(said.String(), "go_bytes=4294967296") {
		t.Errorf("in a container of 5 GiB the limit became %d, want 4 GiB; the log says %q", got, &said)
	}
}
