package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// LogFlush is how long the end of the process waits for the last lines.
const LogFlush = time.Second

const (
	logQueueLimit = 4 << 20 // bytes of lines that wait to be written: a second of access log at 12,000 requests a second
	logPiece      = 4 << 10 // PIPE_BUF: a pipe takes so much as one piece, whoever else writes to it
	logStall      = time.Second
)

// LogQueue is the end of a log that nobody waits for: one goroutine writes the lines, and those that find the queue full or
// cannot be written are dropped and counted. So neither a reader that stands still nor one that left holds up a request.
type LogQueue struct {
	out   io.Writer
	more  chan struct{}        // there are lines, or no more will come
	done  chan struct{}        // closed when the last line was written
	after func(dropped uint64) // is told of lines that were dropped, once lines are written again; nil: nobody is
	torn  bool                 // the last write ended within a line
	told  uint64               // of dropped, to after

	mu      sync.Mutex
	lines   []byte // whole ones
	dropped uint64
	began   time.Time // when the write under way began; zero: there is none
	failed  error     // of the last write
	closed  bool
}

// NewLogQueue writes to out until Close.
func NewLogQueue(out io.Writer) *LogQueue {
	q := &LogQueue{out: out, more: make(chan struct{}, 1), done: make(chan struct{})}
	go q.run()
	return q
}

// Write takes one line, or drops it. It never fails and never waits.
func (q *LogQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.lines)+len(line) > logQueueLimit {
		q.dropped++
		return len(line), nil
	}
	q.lines = append(q.lines, line...)
	q.wake()
	return len(line), nil
}

func (q *LogQueue) wake() {
	select {
	case q.more <- struct{}{}:
	default: // it is awake
	}
}

// Close writes what is left, for as long as wait at most. Lines that come later are dropped.
func (q *LogQueue) Close(wait time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.wake()
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(wait):
	}
}

// droppedLines is how many lines were dropped since the start.
func (q *LogQueue) droppedLines() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// fault is why lines are being lost, or soon will be; nil while they are written.
func (q *LogQueue) fault() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.failed != nil:
		return fmt.Errorf("the log cannot be written (%w), %d lines were dropped", q.failed, q.dropped)
	case !q.began.IsZero() && time.Since(q.began) > logStall:
		return fmt.Errorf("nobody reads the log, %d lines were dropped", q.dropped)
	}
	return nil
}

func (q *LogQueue) run() {
	defer close(q.done)
	var batch []byte
	for closed := false; !closed; {
		<-q.more
		q.mu.Lock()
		batch, q.lines, closed = q.lines, batch[:0], q.closed
		q.mu.Unlock()
		q.writeAll(batch)
		q.tell()
	}
}

// writeAll writes lines in pieces that reach a pipe whole: the process before or after this one may write to it too.
func (q *LogQueue) writeAll(lines []byte) {
	for len(lines) > 0 {
		piece := lines[:min(logPiece, len(lines))]
		if end := bytes.LastIndexByte(piece, '\n'); end >= 0 {
			piece = piece[:end+1]
		} else if end = bytes.IndexByte(lines, '\n'); end >= 0 { // a line of its own
			piece = lines[:end+1]
		}
		q.write(piece)
		lines = lines[len(piece):]
	}
}

func (q *LogQueue) write(piece []byte) {
	q.mu.Lock()
	q.began = time.Now()
	q.mu.Unlock()
	var err error
	if q.torn { // a disk was full
		_, err = q.out.Write([]byte{'\n'})
		q.torn = err != nil
	}
	n := 0
	if err == nil {
		n, err = q.out.Write(piece)
		q.torn = n > 0 && n < len(piece) && piece[n-1] != '\n'
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.began, q.failed = time.Time{}, causeOf(err)
	if err != nil {
		q.dropped += uint64(bytes.Count(piece[n:], []byte{'\n'})) // a count is not negative
	}
}

// causeOf is err without the name of the file: /dev/stderr tells an operator nothing.
func causeOf(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// tell says, in the log, that the log has a gap.
func (q *LogQueue) tell() {
	q.mu.Lock()
	dropped, failed := q.dropped, q.failed
	q.mu.Unlock()
	if failed != nil || dropped == q.told || q.after == nil {
		return
	}
	q.after(dropped - q.told)
	q.told = dropped
}

// count registers the metric of dropped lines.
func (q *LogQueue) count(reg prometheus.Registerer) {
	reg.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "wxgate_log_lines_dropped_total", Help: "Lines of the log that were dropped because nobody read them or they could not be written.",
	}, func() float64 { return float64(q.droppedLines()) }))
}
