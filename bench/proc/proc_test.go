package proc

import (
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestTheParentIsReadPastAnOddName(t *testing.T) {
	t.Parallel()
	pid, parent, ok := parentOf([]byte("12 (a) b (c)) S 7 12 12 0 -1"))
	if pid != 12 || parent != 7 || !ok {
		t.Errorf("got %d, %d, %t, want 12, 7, true", pid, parent, ok)
	}
	if _, _, ok := parentOf([]byte("12")); ok {
		t.Error("half a line was read")
	}
}

func TestBusyIsEverythingButIdleWaitingAndGuests(t *testing.T) {
	t.Parallel()
	const stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 1000 1000 4 5 6 100 100\ncpu1 7 0 0 0 0 0 0 0 0 0\nintr 1\n"
	if got, want := busyIn(stat, 0), 210*time.Millisecond; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := busyIn(stat, 1), 70*time.Millisecond; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestAFieldIsThatOfItsWholeName(t *testing.T) {
	t.Parallel()
	status := []byte("nonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t42\nVmRSS:\t  1024 kB\n")
	for name, want := range map[string]int64{"voluntary_ctxt_switches:": 42, "VmRSS:": 1024, "VmHWM:": 0} {
		if got := field(status, name); got != want {
			t.Errorf("got %d, want %d, for %s", got, want, name)
		}
	}
}

func TestAProcessFindsItselfInProc(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	usage := Read([]int{os.Getpid()})
	if usage.CPU <= 0 || usage.RSS < 1<<20 || usage.Threads < 1 || usage.Switches < 1 {
		t.Errorf("got %+v, want some of everything", usage)
	}
	if !slices.Contains(Tree(os.Getppid()), os.Getpid()) {
		t.Error("this process is no child of its parent")
	}
}
