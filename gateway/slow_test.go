package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
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

// slowed is how one kind of slow clients fared.
type slowed struct {
	Longest time.Duration // until one was cut
	Held    int           // connections
	Fault   string        // "" if all were cut in their time
}

// attack holds count connections of each kind at once, again and again for the given time.
func attack(addr string, count int, least time.Duration, kinds []slowKind) []slowed {
	var slow sync.WaitGroup
	var mu sync.Mutex
	fared := make([]slowed, len(kinds))
	until := time.Now().Add(least)
	for i, k := range kinds {
		for range count {
			slow.Go(func() {
				for again := true; again; again = time.Now().Before(until) {
					took, err := k.lastOf(addr)
					if err == nil && took > k.limit {
						err = fmt.Errorf("%s: cut after %v, want %v at most", k.name, took, k.limit)
					}
					mu.Lock()
					fared[i].Longest, fared[i].Held = max(fared[i].Longest, took), fared[i].Held+1
					if err != nil {
						fared[i].Fault = err.Error()
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
	}
	slow.Wait()
	return fared
}

// besiege lets slow clients attack while four honest ones go on. It fails the test unless all slow ones are cut in their
// time, logs a table, and returns how long honest requests took, in order.
func besiege(t *testing.T, e *edge, token string, count int, kinds []slowKind, attack func() []slowed) []time.Duration {
	t.Helper()
	stop := make(chan struct{})
	var good sync.WaitGroup
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
	fared := attack()
	close(stop)
	good.Wait()
	table := tabwriter.NewWriter(t.Output(), 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "clients\tat a time\tin all\tlongest\tallowed")
	for i, k := range kinds {
		if fared[i].Fault != "" {
			t.Error(fared[i].Fault)
		}
		fmt.Fprintf(table, "%s\t%d\t%d\t%v\t%v\n", k.name, count, fared[i].Held, fared[i].Longest.Round(time.Millisecond), k.limit)
	}
	slices.Sort(honestTook)
	if len(honestTook) == 0 {
		t.Fatal("no honest request was answered")
	}
	fmt.Fprintf(table, "honest\t4\t%d\tp50 %v\tp99 %v\n", len(honestTook), percentile(honestTook, .5), percentile(honestTook, .99))
	_ = table.Flush()
	return honestTook
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[int(p*float64(len(sorted)-1))].Round(time.Microsecond)
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
	e := newEdgeOf(t, service.URL, nil, nil, func(*upstreamConfig) {}, func(cfg *listen.Config) {
		cfg.ReadHeader, cfg.BodyGrace, cfg.BodyStall, cfg.Linger = time.Second, time.Second, time.Second, 100*time.Millisecond
	})
	kinds := siege(30*time.Second, 30*time.Second, 50*time.Millisecond)
	besiege(t, e, e.token(t, "alice"), 30, kinds, func() []slowed { return attack(e.addr, 30, 0, kinds) })
}

// TestAMinuteOfSlowClients has the defaults, 300 clients of each kind in a process of their own, and a bound of what honest
// requests take. It is `make long WHAT=slow`.
func TestAMinuteOfSlowClients(t *testing.T) {
	if os.Getenv("WXGATE_SLOW") == "" {
		t.Skip("a long run: make long WHAT=slow")
	}
	const each, bound = 300, 50 * time.Millisecond
	kinds := siege(8*time.Second, 14*time.Second, 500*time.Millisecond)
	if addr := os.Getenv("WXGATE_SLOW_AT"); addr != "" { // this is the process of the slow clients
		if err := json.NewEncoder(os.Stdout).Encode(attack(addr, each, time.Minute, kinds)); err != nil {
			t.Fatal(err)
		}
		return
	}
	e := newEdge(t, upstreamtest.Echo(t).URL, nil)
	took := besiege(t, e, e.token(t, "alice"), each, kinds, func() (fared []slowed) {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
		cmd.Env = append(os.Environ(), "WXGATE_SLOW_AT="+e.addr)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("the slow clients: %v\n%s", err, out)
		}
		if err := json.NewDecoder(bytes.NewReader(out)).Decode(&fared); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return fared
	})
	if p99 := percentile(took, .99); !raceDetector && p99 > bound {
		t.Errorf("honest requests: p99 is %v, want %v at most", p99, bound)
	}
}
