//go:build linux

package handover

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// newTestLineage is a lineage that this process supervises, without becoming the parent of orphans.
func newTestLineage(t *testing.T) *Lineage {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	h := &Lineage{reports: os.NewFile(uintptr(fds[0]), "lineage"), report: os.NewFile(uintptr(fds[1]), "lineage")}
	t.Cleanup(func() { _, _ = h.reports.Close(), h.report.Close() })
	return h
}

// TestWhatHasBeenReportedIsReadWithoutWaiting reports successors in pieces. The process in front used to wait a
// millisecond for a report by the clock; when it was not scheduled for that long it read none, and ended with 0 while a
// successor served.
func TestWhatHasBeenReportedIsReadWithoutWaiting(t *testing.T) {
	t.Parallel()
	h := newTestLineage(t)
	for _, step := range []struct {
		report string
		first  int
		line   []int
	}{
		{"", 0, nil},
		{"12", 0, nil},
		{"3\n", 123, []int{123}},
		{"4\n5\n6", 123, []int{123, 4, 5}},
		{strings.Repeat("7", 5) + "\n" + strings.Repeat("89\n", 60), 123, append([]int{123, 4, 5, 677777}, slices.Repeat([]int{89}, 60)...)},
	} {
		if _, err := io.WriteString(h.report, step.report); err != nil {
			t.Fatal(err)
		}
		got, err := h.first()
		if err != nil || got != step.first || !slices.Equal(h.serving, step.line) {
			t.Fatalf("after %q: %d of %v, %v, want %d of %v", step.report, got, h.serving, err, step.first, step.line)
		}
	}
	_, _ = io.WriteString(h.report, "nobody\n")
	if _, err := h.first(); err == nil {
		t.Error("a report that is no number was taken")
	}
}
