package gateway

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"wxgate/gateway/listen"
	"wxgate/upstream/upstreamtest"
)

// slowKind is a way of holding a connection for as little as possible.
type slowKind struct {
	name  string
	first string        // sent at once
	drip  string        // sent again and again
	every time.Duration // between two drips
	limit time.Duration // within which it must be cut
}

// lastOf holds a connection of the kind until it is cut, and says how long that took.
func (k slowKind) lastOf(addr string) (time.Duration, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	start := time.Now()
	_, _ = io.WriteString(conn, k.first)
	buf := make([]byte, 4096)
	for time.Since(start) < 2*k.limit {
		_ = conn.SetReadDeadline(time.Now().Add(k.every))
		if _, err := conn.Read(buf); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return time.Since(start), nil
		}
		if _, err := io.WriteString(conn, k.drip); err != nil {
			return time.Since(start), nil // cut is what we wait for
		}
	}
	return time.Since(start), fmt.Errorf("%s: still open after %v", k.name, time.Since(start))
}

// honest sends requests until it is told to stop, and returns how long each took.
func honest(e *edge, token string, stop <-chan struct{}) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, buf := head("GET /private/x", token), make([]byte, 4096)
	for {
		select {
		case <-stop:
			return took, nil
		case <-time.After(2 * time.Millisecond):
		}
		start := time.Now()
		if _, err := io.WriteString(conn, raw); err != nil {
			return took, err
		}
		n, err := conn.Read(buf)
		if err != nil || n < 12 || string(buf[9:12]) != "200" {
			return took, fmt.Errorf("an honest request was answered %.40q, %v", buf[:n], err) //nolint:errorlint // it may be nil
		}
		took = append(took, time.Since(start))
	}
}

// besiege holds count connections of each kind at once, again and again for the given time, while four honest clients
// go on. It fails the test unless all are cut in their time, and logs a table. How long honest requests take says as much of
// the machine, so only `make long WHAT=slow` judges it.
func besiege(t *testing.T, e *edge, token string, count int, least time.Duration, kinds []slowKind) {
	t.Helper()
	stop := make(chan struct{})
	var good, slow sync.WaitGroup
	var mu sync.Mutex
	var honestTook []time.Duration
	for range 4 {
		good.Go(func() {
			took, err := honest(e, token, stop)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			honestTook = append(honestTook, took...)
		})
	}
	longest, held := make([]time.Duration, len(kinds)), make([]int, len(kinds))
	until := time.Now().Add(least)
	for i, k := range kinds {
		for range count {
			slow.Go(func() {
				for again := true; again; again = time.Now().Before(until) {
					took, err := k.lastOf(e.addr)
					if err == nil && took > k.limit {
						err = fmt.Errorf("%s: cut after %v, want %v at most", k.name, took, k.limit)
					}
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					longest[i], held[i] = max(longest[i], took), held[i]+1
					mu.Unlock()
				}
			})
		}
	}
	slow.Wait()
	close(stop)
	good.Wait()
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "clients\tat a time\tin all\tlongest\tallowed")
	for i, k := range kinds {
		fmt.Fprintf(table, "%s\t%d\t%d\t%v\t%v\n", k.name, count, held[i], longest[i].Round(time.Millisecond), k.limit)
	}
	slices.Sort(honestTook)
	if len(honestTook) == 0 {
		t.Fatal("no honest request was answered")
	}
	at := func(p float64) time.Duration {
		return honestTook[int(p*float64(len(honestTook)-1))].Round(time.Microsecond)
	}
	fmt.Fprintf(table, "honest\t4\t%d\tp50 %v\tp99 %v\n", len(honestTook), at(.5), at(.99))
	_ = table.Flush()
	if least > 0 && !raceDetector && at(.99) > 50*time.Millisecond {
		t.Errorf("honest requests: p99 is %v, want 50ms at most", at(.99))
	}
}

// siege are the kinds of slow clients, with how long each may last.
func siege(headLimit, bodyLimit, every time.Duration) []slowKind {
	return []slowKind{
		{"slowloris", "GET /public/x HTTP/1.1\r\nHost: a\r\n", "X-A: b\r\n", every, headLimit},
		{"slow body", head("POST /public/x", "", "Content-Length: 1000000"), "b", every, bodyLimit},
		{"slow chunks", head("POST /public/x", "", "Transfer-Encoding: chunked"), "1\r\nb\r\n", every, bodyLimit},
		{"silent", "", "", every, headLimit},
	}
}

func TestSlowClientsAreCutAndOthersDoNotNotice(t *testing.T) {
	service := upstreamtest.Echo(t)
	if os.Getenv("WXGATE_SLOW") != "" { // make long WHAT=slow: the defaults, 300 of each, a minute
		e := newEdge(t, service.URL, nil)
		besiege(t, e, e.token(t, "alice"), 300, time.Minute, siege(8*time.Second, 14*time.Second, 500*time.Millisecond))
		return
	}
	e := newEdgeOf(t, service.URL, nil, nil, func(*upstreamConfig) {}, func(cfg *listen.Config) {
		cfg.ReadHeader, cfg.BodyGrace, cfg.BodyStall, cfg.Linger = 300*time.Millisecond, 400*time.Millisecond, 400*time.Millisecond, 100*time.Millisecond
	})
	besiege(t, e, e.token(t, "alice"), 30, 0, siege(30*time.Second, 30*time.Second, 50*time.Millisecond))
}
