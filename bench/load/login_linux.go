package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// logIn has Connections clients log users in, each another one with a code of its own ("demo-NAME-N" of the sandbox).
func logIn(ctx context.Context, cfg Config) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Warmup+cfg.Duration+30*time.Second)
	defer cancel()
	l := &logins{meter: newMeter(&cfg), cfg: &cfg, run: strconv.FormatInt(time.Now().UnixNano(), 36)}
	l.meter.start(time.Now())
	var clients sync.WaitGroup
	for number := range cfg.Connections {
		clients.Go(func() { l.client(ctx, number) })
	}
	clients.Wait()
	return l.meter.result(), l.err
}

// logins are the clients of one measurement.
type logins struct {
	cfg *Config
	run string // makes the names of one run differ from those of another

	mu    sync.Mutex
	meter *meter
	err   error // the first of any client
}

func (l *logins) client(ctx context.Context, number int) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", l.cfg.Address.String())
	if err != nil {
		l.fail(err)
		return
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	answers := bufio.NewReader(conn)
	for i := 0; l.more(); i++ {
		began := time.Now()
		status, err := l.login(conn, answers, fmt.Sprintf(`{"code":"demo-%s%dx%d-1"}`, l.run, number, i))
		if err != nil {
			l.fail(err)
			return
		}
		l.answered(status, time.Since(began))
	}
}

func (l *logins) login(conn io.Writer, answers *bufio.Reader, content string) (status int, err error) {
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s", l.cfg.Paths[0], phone, len(content), content)
	if err != nil {
		return 0, fmt.Errorf("logging in: %w", err)
	}
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		return 0, fmt.Errorf("logging in: %w", err)
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// more reports whether there is time for another login.
func (l *logins) more() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	l.meter.tick(now)
	return l.err == nil && !l.meter.over(now)
}

func (l *logins) answered(status int, latency time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.meter.answered(status, latency)
}

func (l *logins) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = err
	}
}
