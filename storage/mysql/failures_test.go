package mysql

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"wxgate/secret"
	"wxgate/storage"
)

// relay stands between a store and the server, and fails in the ways that networks do.
type relay struct {
	t        *testing.T
	network  string // of the server
	address  string
	listener net.Listener
	// onCommit decides what becomes of a COMMIT; nil: it passes.
	onCommit    atomic.Pointer[func() fate]
	onStatement atomic.Pointer[func(string) []byte] // what is answered instead of the server's answer; nil: it passes
	onConnect   atomic.Pointer[func() []byte]       // what is said instead of the greeting
	cutAfter    atomic.Int64                        // so many bytes of an answer, the connection ends, once; 0: it does not
	delay       atomic.Int64                        // of each answer, in nanoseconds
	frozen      atomic.Bool                         // nothing passes
	commits     atomic.Int64
	// Statements are numbered from 1; at the one of cutAt everything ends, at the moment of cutWhen.
	statements, cutAt, cutWhen atomic.Int64
	killed                     func() // is called when everything ends
	mu                         sync.Mutex
	conns                      []net.Conn
}

// fate is what becomes of a COMMIT.
type fate int

const (
	passes   fate = iota
	lost          // the connection ends before the server sees it
	answered      // the connection ends before the client sees the answer
)

func newRelay(t *testing.T) *relay {
	t.Helper()
	return newRelayTo(t, "unix", server.Socket)
}

func newRelayTo(t *testing.T, network, address string) *relay {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, network: network, address: address, listener: ln}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			group.Go(func() { r.serve(client) })
		}
	})
	t.Cleanup(func() { r.cut(); group.Wait() })
	return r
}

// cut ends the relay and all its connections.
func (r *relay) cut() {
	_ = r.listener.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
}

// kill ends everything, as the end of the process does.
func (r *relay) kill() {
	r.killed()
	r.cut()
}

func (r *relay) serve(client net.Conn) {
	if greet := r.onConnect.Load(); greet != nil {
		if packet := (*greet)(); packet != nil {
			_, _ = client.Write(packet)
			_ = client.Close()
			return
		}
	}
	back, err := net.Dial(r.network, r.address)
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	r.conns = append(r.conns, client, back)
	r.mu.Unlock()
	var dropAnswer, cutAnswer atomic.Bool
	var group sync.WaitGroup
	group.Go(func() {
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := back.Read(buffer)
			if cutAnswer.Load() {
				r.kill()
				return
			}
			if err != nil || dropAnswer.Load() {
				return
			}
			r.hold()
			if late := time.Duration(r.delay.Load()); late > 0 {
				<-time.After(late)
			}
			if left := r.cutAfter.Load(); left > 0 && r.cutAfter.CompareAndSwap(left, max(0, left-int64(n))) && left <= int64(n) {
				_, _ = client.Write(buffer[:left])
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	})
	group.Go(func() {
		defer back.Close()
		for {
			packet, err := readPacket(client)
			if err != nil {
				return
			}
			r.hold()
			if answer := r.onStatement.Load(); answer != nil && packet[4] == 3 {
				if instead := (*answer)(string(packet[5:])); instead != nil {
					_, _ = client.Write(instead)
					continue
				}
			}
			if packet[4] == 3 {
				if r.statements.Add(1) == r.cutAt.Load() {
					when := moment(r.cutWhen.Load())
					if when == during {
						_, _ = back.Write(packet)
					}
					if when != after {
						r.kill()
						return
					}
					cutAnswer.Store(true)
				}
			}
			if string(packet[4:]) == "\x03COMMIT" {
				r.commits.Add(1)
				if decide := r.onCommit.Load(); decide != nil {
					switch (*decide)() {
					case lost:
						_ = client.Close()
						return
					case answered:
						dropAnswer.Store(true)
					case passes:
					}
				}
			}
			if _, err := back.Write(packet); err != nil {
				return
			}
		}
	})
	group.Wait()
}

// hold waits while the relay is frozen.
func (r *relay) hold() {
	for r.frozen.Load() {
		select {
		case <-r.t.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// readPacket reads one packet of the protocol, with its header.
func readPacket(from io.Reader) ([]byte, error) {
	header := make([]byte, 4)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	packet := make([]byte, 4+int(binary.LittleEndian.Uint32([]byte{header[0], header[1], header[2], 0})))
	copy(packet, header)
	_, err := io.ReadFull(from, packet[4:])
	return packet, err
}

// through is the DSN of a database behind relays.
func through(dsn string, relays ...*relay) string {
	addresses := make([]string, 0, len(relays))
	for _, r := range relays {
		addresses = append(addresses, r.listener.Addr().String())
	}
	return "root@tcp(" + strings.Join(addresses, ",") + ")" + dsn[strings.LastIndexByte(dsn, '/'):]
}

func openAt(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), configOf(dsn), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func loginAs(openID, sid string) storage.Login {
	now := time.Now()
	return storage.Login{
		AppID: "wx1", OpenID: openID, SessionKey: storage.SessionKey{Key: "key of " + openID, At: now},
		Session: storage.Session{ID: sid, TokenID: "t" + sid, CreatedAt: now, RefreshedAt: now, ExpiresAt: now.Add(time.Hour)},
	}
}

// TestACommitWhoseAnswerIsLostCountsOnce loses every second COMMIT, before the server saw it or after: changes that cannot
// be repeated, such as a counter's, count once.
func TestACommitWhoseAnswerIsLostCountsOnce(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	s := openAt(t, through(newDatabase(t), r))
	var n atomic.Int64
	decide := func() fate {
		return []fate{lost, passes, answered, passes, answered, answered, lost, passes}[n.Add(1)%8]
	}
	r.onCommit.Store(&decide)
	const rounds = 12
	for i := range rounds {
		in, err := s.Login(t.Context(), loginAs(fmt.Sprint("o", i), fmt.Sprint("s", i)))
		if err != nil || in.User.ID != int64(i+1) || !in.Created {
			t.Fatalf("login %d: user %d, created %t, %v", i, in.User.ID, in.Created, err)
		}
		if _, err := s.UpdateUser(t.Context(), 1, func(u *storage.User) error { u.RecipeCount++; return nil }); err != nil {
			t.Fatal(err)
		}
		revoked, err := s.Revoke(t.Context(), storage.Revocation{Scope: storage.ScopeToken, ID: "t", From: time.Now(), Until: time.Now().Add(time.Hour)})
		if err != nil || revoked[0].Seq != uint64(i+1) {
			t.Fatalf("revocation %d: %v, %v", i, revoked, err)
		}
	}
	u, err := s.User(t.Context(), 1)
	if err != nil || u.RecipeCount != rounds {
		t.Errorf("%d changes of a counter came to %d (%v)", rounds, u.RecipeCount, err)
	}
	if found, err := s.Revocations(t.Context(), 0, 1000); len(found) != rounds || err != nil {
		t.Errorf("%d revocations are %d (%v)", rounds, len(found), err)
	}
	if r.commits.Load() < rounds*4 {
		t.Errorf("%d commits for %d changes, want some that were repeated", r.commits.Load(), rounds*3)
	}
}

// TestAServerThatIsGoneOrHangsIsLeft: operations go on at the next host within the time that one statement has.
func TestAServerThatIsGoneOrHangsIsLeft(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*relay){
		"gone": func(r *relay) { r.cut() }, "hangs": func(r *relay) { r.frozen.Store(true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, two := newRelay(t), newRelay(t)
			defer one.frozen.Store(false)
			s := openAt(t, through(newDatabase(t), one, two))
			if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
				t.Fatal(err)
			}
			if two.commits.Load() > 0 {
				t.Error("the second host was used while the first answered")
			}
			fail(one)
			start := time.Now()
			in, err := s.Login(t.Context(), loginAs("oABC", "s2"))
			if took := time.Since(start); err != nil || in.User.ID != 1 || took > patience {
				t.Errorf("after %v: user %d, %v", took, in.User.ID, err)
			}
			start = time.Now()
			if _, err = s.User(t.Context(), 1); err != nil || time.Since(start) > time.Second {
				t.Errorf("a second operation took %v: %v", time.Since(start), err)
			}
		})
	}
}

// TestAServerThatHangsIsMetOnce: an operation does not try one idle connection to it after the other.
func TestAServerThatHangsIsMetOnce(t *testing.T) {
	t.Parallel()
	one, two := newRelay(t), newRelay(t)
	defer one.frozen.Store(false)
	s := openAt(t, through(newDatabase(t), one, two))
	var idle [4]*sql.Conn
	for i := range idle {
		conn, err := s.driver.db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		idle[i] = conn
	}
	for _, conn := range idle {
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	one.frozen.Store(true)
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	if again := testutil.ToFloat64(s.driver.metrics.retries[reconnect]); again != 1 {
		t.Errorf("%v attempts met the server that hangs, want 1", again)
	}
}

func TestADatabaseThatDoesNotAnswerIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	dsn := through(newDatabase(t), r)
	s := openAt(t, dsn)
	r.cut()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := s.User(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("within the caller's deadline: %v", err)
	}
	start := time.Now()
	if _, err := s.User(t.Context(), 1); !errors.Is(err, storage.ErrUnavailable) || time.Since(start) > patience+2*time.Second {
		t.Errorf("after %v: %v, want ErrUnavailable", time.Since(start), err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("ready: %v, want ErrUnavailable", err)
	}
	if _, err := s.Follow(t.Context(), 0, 10); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("following: %v, want ErrUnavailable", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := Open(short, configOf(dsn), prometheus.NewRegistry(), quiet(), time.Now)
	if !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("opening: %v, want ErrUnavailable", err)
	}
}

func TestMistakesEndTheStartAtOnceAndShowNoPassword(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	for name, broken := range map[string]string{
		"the password":    strings.Replace(dsn, "root@", "somebody:pass-word@", 1),
		"the database":    dsn + "x",
		"no address":      "somebody:pass-word@",
		"no database":     "somebody:pass-word@tcp(127.0.0.1:3306)/",
		"an empty host":   "somebody:pass-word@tcp(one:3306,)/wxgate",
		"another grammar": "mysql://somebody:pass-word@127.0.0.1:3306/wxgate",
	} {
		cfg := configOf("")
		cfg.MySQL.DSN = secret.Text(broken)
		start := time.Now()
		_, err := Open(t.Context(), cfg, prometheus.NewRegistry(), quiet(), time.Now)
		if err == nil || strings.Contains(err.Error(), "pass-word") || time.Since(start) > 10*time.Second {
			t.Errorf("%s: after %v got %v", name, time.Since(start), err)
		}
	}
}

// TestADataSetIsReplacedBehindACommitOnItsWay, which has locked its id: in front of it, the row of a frozen gateway would
// come into other data.
func TestADataSetIsReplacedBehindACommitOnItsWay(t *testing.T) {
	t.Parallel()
	r, dsn := newRelay(t), newDatabase(t)
	frozen, other := openAt(t, through(dsn, r)), openAt(t, dsn)
	held, released := make(chan struct{}), make(chan struct{})
	var once sync.Once
	hold := func() fate {
		once.Do(func() { close(held); <-released })
		return passes
	}
	r.onCommit.Store(&hold)
	committed, replaced := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := frozen.Login(t.Context(), loginAs("oABC", "s1"))
		committed <- err
	}()
	<-held
	go func() { replaced <- other.driver.SetID(t.Context(), "another") }()
	look := time.NewTicker(200 * time.Millisecond) // the server looks anew when it was not asked for 100 ms
	defer look.Stop()
	for waits := 0; waits == 0; {
		select {
		case err := <-replaced:
			close(released)
			t.Fatalf("the data were replaced before the COMMIT: %v", err)
		case <-look.C:
		}
		if err := server.DB.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM information_schema.innodb_lock_waits").Scan(&waits); err != nil {
			t.Fatal(err)
		}
	}
	close(released)
	if err := errors.Join(<-committed, <-replaced); err != nil {
		t.Error(err)
	}
	if _, err := frozen.Login(t.Context(), loginAs("oDEF", "s2")); !errors.Is(err, storage.ErrReplaced) {
		t.Errorf("a login afterwards: %v, want %v", err, storage.ErrReplaced)
	}
}
