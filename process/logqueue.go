package process

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"wxgate/gateway/admin/dashboard"
)

// LogFlush is how long a process that ends waits for its last lines to be written.
const LogFlush = time.Second

const (
	logQueueLimit = 4 << 20 // bytes that wait to be written: a second of access log at 12,000 requests a second
	logPiece      = 4 << 10 // PIPE_BUF: a pipe takes this much in one piece, even when others write to it
	logStall      = time.Second
	logGather     = 20 * time.Millisecond // a line waits no longer for others: a crash loses no more
	logKept       = 256 << 10             // the capacity of a buffer that is kept after a burst, in bytes
)

// LogQueue writes a log without making anybody wait: one goroutine writes the lines, and lines that find the queue full
// or cannot be written are dropped and counted. A reader of the log that has stalled or left delays no request.
//
// A line is written at once after a pause, and at most logGather later under load, together with those that came in the
// meantime. While there are no lines, nothing runs.
type LogQueue struct {
	out       io.Writer
	terminal  bool                 // out is one
	more      chan struct{}        // there are lines, or the queue is closed
	closing   chan struct{}        // closed by Close
	done      chan struct{}        // closed when the last line was written
	onDropped func(dropped uint64) // called with the number of lines that were dropped, once lines are written again; may be nil
	partial   bool                 // the last write ended in the middle of a line
	reported  uint64               // how many of dropped were passed to onDropped

	mu      sync.Mutex
	lines   []byte // complete ones
	dropped uint64
	writing time.Time // since when; zero: nothing is being written
	failed  error     // error of the last write
	closed  bool
}

// NewLogQueue returns a queue that writes to out until Close.
func NewLogQueue(out io.Writer) *LogQueue {
	q := &LogQueue{out: out, terminal: isTerminal(out), more: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{})}
	go q.run()
	return q
}

// Write queues one line, or drops it. It never fails and never blocks.
func (q *LogQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.lines)+len(line) > logQueueLimit {
		q.dropped++
		return len(line), nil
	}
	if q.lines = append(q.lines, line...); len(q.lines) == len(line) {
		q.wake() // whoever wrote the lines before has done so too
	}
	return len(line), nil
}

// Terminal reports whether the lines go to a terminal, where somebody reads them.
func (q *LogQueue) Terminal() bool { return q.terminal }

func (q *LogQueue) wake() {
	select {
	case q.more <- struct{}{}:
	default: // already awake
	}
}

// Close writes the lines that are left, for at most wait. Later lines are dropped.
func (q *LogQueue) Close(wait time.Duration) {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.closing)
		q.wake()
	}
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(wait):
	}
}

// droppedLines returns how many lines have been dropped since the start.
func (q *LogQueue) droppedLines() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// fault says why lines are being lost, or soon will be; nil while they are written.
func (q *LogQueue) fault() *dashboard.Fault {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.failed != nil:
		return dashboard.NewFault(dashboard.FaultLogUnwritable, "error", q.failed.Error(), "lines", strconv.FormatUint(q.dropped, 10))
	case !q.writing.IsZero() && time.Since(q.writing) > logStall:
		return dashboard.NewFault(dashboard.FaultLogUnread, "lines", strconv.FormatUint(q.dropped, 10))
	}
	return nil
}

func (q *LogQueue) run() {
	defer close(q.done)
	gather := time.NewTimer(0)
	var batch []byte
	for closed := false; !closed; {
		<-q.more
		q.mu.Lock()
		batch, q.lines, closed = q.lines, batch[:0], q.closed
		q.mu.Unlock()
		q.writeAll(batch)
		q.reportDropped()
		if cap(batch) > logKept {
			batch = nil
		}
		gather.Reset(logGather)
		select {
		case <-gather.C:
		case <-q.closing:
		}
	}
}

// writeAll writes lines in pieces that a pipe takes whole, since our predecessor or successor may write to it too.
func (q *LogQueue) writeAll(lines []byte) {
	for len(lines) > 0 {
		piece := lines[:min(logPiece, len(lines))]
		if end := bytes.LastIndexByte(piece, '\n'); end >= 0 {
			piece = piece[:end+1]
		} else if end = bytes.IndexByte(lines, '\n'); end >= 0 { // one long line
			piece = lines[:end+1]
		}
		q.write(piece)
		lines = lines[len(piece):]
	}
}

func (q *LogQueue) write(piece []byte) {
	q.mu.Lock()
	q.writing = time.Now()
	q.mu.Unlock()
	var err error
	if q.partial { // such as when the disk was full
		_, err = q.out.Write([]byte{'\n'})
		q.partial = err != nil
	}
	n := 0
	if err == nil {
		n, err = q.out.Write(piece)
		q.partial = n > 0 && n < len(piece) && piece[n-1] != '\n'
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.writing, q.failed = time.Time{}, causeOf(err)
	if err != nil {
		q.dropped += uint64(bytes.Count(piece[n:], []byte{'\n'})) // a count is not negative
	}
}

// causeOf returns err without the name of the file: /dev/stderr means nothing to an operator.
func causeOf(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// reportDropped logs that the log has a gap.
func (q *LogQueue) reportDropped() {
	q.mu.Lock()
	dropped, failed := q.dropped, q.failed
	q.mu.Unlock()
	if failed != nil || dropped == q.reported || q.onDropped == nil {
		return
	}
	q.onDropped(dropped - q.reported)
	q.reported = dropped
}

// count registers the metric for dropped lines.
func (q *LogQueue) count(reg prometheus.Registerer) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "wxgate_log_lines_dropped_total", Help: "Lines of the log that were dropped because nobody read them or they could not be written.",
	}, func() float64 { return float64(q.droppedLines()) }))
}
