//go:build unix

package listen_test

import (
	"syscall"
	"testing"

	"wxgate/gateway/listen"
)

func TestTheCapStaysBelowTheDescriptors(t *testing.T) {
	t.Parallel()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Skip(err)
	}
	for _, want := range []int{0, 1 << 30} {
		if got := listen.Bearable(want); got >= int(min(limit.Cur, 1<<30)) || got < 1 {
			t.Errorf("cap for MaxConns %d is %d, want it below %d", want, got, limit.Cur)
		}
	}
	if got := listen.Bearable(3); got != 3 {
		t.Errorf("cap for MaxConns 3 is %d", got)
	}
}
