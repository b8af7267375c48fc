// Package proc reads from /proc what processes use: CPU time, memory, context switches. A process that has ended counts
// as nothing.
package proc

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Usage is what a set of processes uses, summed.
type Usage struct {
	CPU      time.Duration // run time of all threads since their start
	RSS      int64         // resident memory, bytes
	Switches int64         // context switches of all threads since their start: each is a wake-up that follows
	Threads  int
}

// Tree returns pid and all its descendants.
func Tree(pid int) []int {
	children := map[int][]int{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if child, parent, ok := parentOf(text); err == nil && ok {
			children[parent] = append(children[parent], child)
		}
	}
	tree := []int{pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, children[tree[i]]...)
	}
	return tree
}

// parentOf reads a stat file: "12 (name, which may hold spaces) S 3 …".
func parentOf(stat []byte) (pid, parent int, ok bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < 0 {
		return 0, 0, false
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(stat[:open])))
	fields := bytes.Fields(stat[end+1:])
	if err != nil || len(fields) < 2 {
		return 0, 0, false
	}
	parent, err = strconv.Atoi(string(fields[1]))
	return pid, parent, err == nil
}

// CPU returns the run time of all threads of the processes, in nanoseconds that the scheduler counted.
func CPU(pids []int) (total time.Duration) {
	for _, pid := range pids {
		for _, thread := range threads(pid) {
			text, _ := os.ReadFile(thread + "/schedstat")
			first, _, _ := bytes.Cut(text, []byte(" "))
			total += time.Duration(number(first))
		}
	}
	return total
}

// threads returns the folders of the threads of a process.
func threads(pid int) (folders []string) {
	folder := fmt.Sprintf("/proc/%d/task", pid)
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		folders = append(folders, folder+"/"+entry.Name())
	}
	return folders
}

// Read returns the usage of the processes.
func Read(pids []int) Usage {
	usage := Usage{CPU: CPU(pids)}
	for _, pid := range pids {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		usage.RSS += field(status, "VmRSS:") << 10
		usage.Threads += int(field(status, "Threads:"))
		for _, thread := range threads(pid) {
			status, _ := os.ReadFile(thread + "/status")
			usage.Switches += field(status, "voluntary_ctxt_switches:") + field(status, "nonvoluntary_ctxt_switches:")
		}
	}
	return usage
}

// field returns the number behind name at the start of a line, 0 without such a line.
func field(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if values := bytes.Fields(rest); len(values) > 0 {
				return number(values[0])
			}
		}
	}
	return 0
}

func number(digits []byte) int64 {
	n, _ := strconv.ParseInt(string(bytes.TrimSpace(digits)), 10, 64)
	return n
}

// Busy returns how long a CPU was not idle since the machine started, in steps of 10 ms.
func Busy(cpu int) time.Duration {
	text, _ := os.ReadFile("/proc/stat")
	return busyIn(string(text), cpu)
}

// busyIn sums the fields of a line of /proc/stat but idle and iowait, and guest, which is part of user.
func busyIn(stat string, cpu int) (busy time.Duration) {
	for line := range strings.Lines(stat) {
		fields := strings.Fields(line)
		if len(fields) < 9 || fields[0] != "cpu"+strconv.Itoa(cpu) {
			continue
		}
		for i, value := range fields[1:9] {
			if i != 3 && i != 4 {
				ticks, _ := strconv.ParseInt(value, 10, 64)
				busy += time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100
			}
		}
	}
	return busy
}
