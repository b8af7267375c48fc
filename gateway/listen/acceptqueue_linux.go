package listen

import (
	"errors"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptQueue is the queue of a listening socket in the kernel: clients that have connected and are not accepted yet.
type acceptQueue struct{ raw syscall.RawConn }

func acceptQueueOf(ln net.Listener) (acceptQueue, bool) {
	socket, ok := ln.(syscall.Conn)
	if !ok {
		return acceptQueue{}, false
	}
	raw, err := socket.SyscallConn()
	return acceptQueue{raw}, err == nil
}

// shut drops, for good, the first packet of every new connection. The kernel of the client sends it again a second
// later, to whatever listens then. An MPTCP socket accepts no filter: EOPNOTSUPP.
func (q acceptQueue) shut() error {
	const flags, syn, ack = 13, 0x02, 0x10 // of a TCP header, where the filter starts
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flags},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: syn, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 18},
	}
	var refused error
	err := q.raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
	})
	return errors.Join(err, refused)
}

// empty reports whether no client is waiting to be accepted.
func (q acceptQueue) empty() bool {
	n := 0
	err := q.raw.Control(func(fd uintptr) {
		n, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0) // descriptors are small
	})
	return err != nil || n == 0
}
