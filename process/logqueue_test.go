package process

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wxgate/gateway"
)

// logReader is the end of a log as a test wants it.
type logReader struct {
	mu      sync.Mutex
	free    chan struct{} // nil: it is read; else a write waits until it is closed
	waiting bool          // a write does
	fail    error
	half    bool // a write fails in its middle
	said    bytes.Buffer
}

func (o *logReader) Write(p []byte) (int, error) {
	o.mu.Lock()
	free := o.free
	o.waiting = free != nil
	o.mu.Unlock()
	if free != nil {
		<-free
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil && o.half {
		n, _ := o.said.Write(p[:len(p)/2])
		return n, o.fail
	}
	if o.fail != nil {
		return 0, o.fail
	}
	return o.said.Write(p)
}

func (o *logReader) set(change func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	change()
}

// standsStill reports whether a write waits.
func (o *logReader) standsStill() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

func (o *logReader) lines() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Split(strings.TrimSuffix(o.said.String(), "\n"), "\n")
}

// until polls until the condition holds.
func until(t *testing.T, holds func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("it did not happen within 30 s")
		}
	}
}

// TestALogThatNobodyReadsDropsLinesAndSaysSo fills the queue while a write stands still, and then reads.
func TestALogThatNobodyReadsDropsLinesAndSaysSo(t *testing.T) {
	t.Parallel()
	out := &logReader{free: make(chan struct{})}
	queue := NewLogQueue(out)
	log := NewLogs(gateway.LogConfig{Level: "info", Format: "json"}, queue)
	line := strings.Repeat("x", 1<<10)
	log.Info(line)
	until(t, out.standsStill) // from here on, nothing leaves the queue
	for range logQueueLimit>>10 + 100 {
		log.Info(line)
	}
	dropped := queue.droppedLines()
	if dropped == 0 {
		t.Errorf("got no line dropped after %d bytes, want a bound", logQueueLimit)
	}
	until(t, func() bool { return queue.fault() != nil })
	if got, want := queue.fault().Text, fmt.Sprintf("nobody reads the log, %d lines were dropped", dropped); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	close(out.free)
	out.set(func() { out.free = nil })
	until(t, func() bool { return strings.Contains(strings.Join(out.lines(), "\n"), "were dropped") })
	queue.Close(time.Minute)
	lines := out.lines()
	if want := fmt.Sprintf(`"msg":"lines of the log were dropped","lines":%d}`, dropped); !strings.HasSuffix(lines[len(lines)-1], want) {
		t.Errorf("the last line is %q, want …%s", lines[len(lines)-1], want)
	}
	if got, want := uint64(len(lines)), 1+logQueueLimit>>10+100-dropped+1; got != want {
		t.Errorf("got %d lines, want %d", got, want)
	}
	if queue.fault() != nil || queue.droppedLines() != dropped {
		t.Errorf("got %v and %d lines dropped after all was read", queue.fault(), queue.droppedLines())
	}
}

// TestALogOnAFullDiskGoesOnWithWholeLines is a disk that takes half of a line, then nothing, then everything again.
func TestALogOnAFullDiskGoesOnWithWholeLines(t *testing.T) {
	t.Parallel()
	out := new(logReader)
	queue := NewLogQueue(out)
	_, _ = io.WriteString(queue, "one\n")
	until(t, func() bool { return out.lines()[0] == "one" })
	out.set(func() { out.fail, out.half = syscall.ENOSPC, true })
	_, _ = io.WriteString(queue, "abcdef\n")
	until(t, func() bool { return queue.droppedLines() == 1 })
	out.set(func() { out.half = false })
	_, _ = io.WriteString(queue, "lost\n")
	until(t, func() bool { return queue.droppedLines() == 2 })
	if fault := queue.fault(); fault == nil || fault.Text != "the log cannot be written (no space left on device), 2 lines were dropped" {
		t.Errorf("got %v, want the reason", fault)
	}
	out.set(func() { out.fail = nil })
	_, _ = io.WriteString(queue, "two\n")
	queue.Close(time.Minute)
	if got, want := strings.Join(out.lines(), "|"), "one|abc|two"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if fault := queue.fault(); fault != nil {
		t.Errorf("got %v on a disk with room", fault)
	}
}

// TestTheEndOfALogIsWaitedForAWhileOnly has a reader that never comes back.
func TestTheEndOfALogIsWaitedForAWhileOnly(t *testing.T) {
	t.Parallel()
	out := &logReader{free: make(chan struct{})}
	defer close(out.free)
	queue := NewLogQueue(out)
	_, _ = io.WriteString(queue, "stopped\n")
	closed := make(chan struct{})
	go func() { queue.Close(time.Millisecond); close(closed) }()
	select {
	case <-closed:
	case <-time.After(30 * time.Second):
		t.Fatal("the end waits for a reader")
	}
}

// TestLinesReachAPipeInPiecesThatAreWhole is what keeps the lines of two processes apart that write to one pipe.
func TestLinesReachAPipeInPiecesThatAreWhole(t *testing.T) {
	t.Parallel()
	reader, writer := io.Pipe()
	queue := NewLogQueue(writer)
	long := strings.Repeat("y", 3*logPiece) + "\n"
	want := long
	_, _ = io.WriteString(queue, long)
	for i := range 1000 {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("z", i))
		want += line
		_, _ = io.WriteString(queue, line)
	}
	go func() { queue.Close(time.Minute); _ = writer.Close() }()
	var got strings.Builder
	buf := make([]byte, 1<<20)
	for {
		n, err := reader.Read(buf)
		if err != nil {
			break
		}
		piece := string(buf[:n])
		if !strings.HasSuffix(piece, "\n") || len(piece) > logPiece && strings.Count(piece, "\n") > 1 {
			t.Fatalf("got a piece of %d bytes that ends with %q", n, piece[len(piece)-1:])
		}
		got.WriteString(piece)
	}
	if got.String() != want {
		t.Errorf("got %d bytes, want the %d that were written", got.Len(), len(want))
	}
}

// TestLinesUnderLoadShareAWrite counts writes: one system call a line was a fifth of the cost of a request.
func TestLinesUnderLoadShareAWrite(t *testing.T) {
	t.Parallel()
	var writes atomic.Int64
	queue := NewLogQueue(writerFunc(func(p []byte) (int, error) { writes.Add(1); return len(p), nil }))
	start := time.Now()
	for range 1000 {
		_, _ = io.WriteString(queue, "a line\n")
	}
	queue.Close(time.Minute)
	pieces := int64(1000*len("a line\n")/logPiece + 1)
	if got, most := writes.Load(), 2+int64(time.Since(start)/logGather)+pieces; got > most {
		t.Errorf("%d writes for 1000 lines in %v, want %d at most", got, time.Since(start), most)
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestAnOrderlyEndDoesNotWaitForMoreLines closes a queue that has just written.
func TestAnOrderlyEndDoesNotWaitForMoreLines(t *testing.T) {
	t.Parallel()
	out := new(logReader)
	queue := NewLogQueue(out)
	_, _ = io.WriteString(queue, "one\n")
	until(t, func() bool { return out.lines()[0] == "one" })
	_, _ = io.WriteString(queue, "two\n")
	queue.Close(time.Minute)
	queue.Close(time.Minute)
	if got := strings.Join(out.lines(), "|"); got != "one|two" {
		t.Errorf("got %q, want both", got)
	}
}
