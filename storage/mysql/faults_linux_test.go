package mysql

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"

	"wxgate/storage"
)

// refusal is the packet in which a server refuses with an error. Before the greeting it has no SQL state.
func refusal(sequence byte, number uint16, state string) []byte {
	text := "refused"
	if state != "" {
		text = "#" + state + text
	}
	body := append(binary.LittleEndian.AppendUint16([]byte{0xff}, number), text...)
	return append([]byte{byte(len(body)), 0, 0, sequence}, body...)
}

// refusing lets a relay answer statements that begin so with an error, and pass the others.
func refusing(number uint16, prefixes ...string) func(statement string) []byte {
	return func(statement string) []byte {
		for _, prefix := range prefixes {
			if strings.HasPrefix(statement, prefix) {
				return refusal(1, number, "HY000")
			}
		}
		return nil
	}
}

// TestAServerThatCannotWriteIsLeft: read-only, a full disk, a node without the others, a shutdown. Each write goes on at
// the next host, and counts once.
func TestAServerThatCannotWriteIsLeft(t *testing.T) {
	t.Parallel()
	for _, number := range []uint16{1290, 1836, 1792, 1021, 1114, 1026, 1030, 1047, 1053} {
		for _, at := range []string{"INSERT", "COMMIT"} {
			t.Run(fmt.Sprint(number, " at ", at), func(t *testing.T) {
				t.Parallel()
				one, two := newRelay(t), newRelay(t)
				s := openAt(t, through(newDatabase(t), one, two))
				answer := refusing(number, at)
				one.onStatement.Store(&answer)
				in, err := s.Login(t.Context(), loginAs("oABC", "s1"))
				if err != nil || in.User.ID != 1 || !in.Created || two.commits.Load() == 0 {
					t.Errorf("got user %d, created %t, %v after %d commits on the second host", in.User.ID, in.Created, err, two.commits.Load())
				}
			})
		}
	}
}

// TestAFullDiskIsUnavailable where there is no other host, for writes alone, and ends when there is room.
func TestAFullDiskIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	s := openAt(t, through(newDatabase(t), r))
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	answer := refusing(1021, "INSERT", "UPDATE")
	r.onStatement.Store(&answer)
	if _, err := s.Login(t.Context(), loginAs("oABC", "s2")); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a write: %v, want ErrUnavailable", err)
	}
	if _, err := s.User(t.Context(), 1); err != nil {
		t.Errorf("a read: %v", err)
	}
	r.onStatement.Store(nil)
	if _, err := s.Login(t.Context(), loginAs("oABC", "s3")); err != nil {
		t.Errorf("with room: %v", err)
	}
}

// TestTooManyConnectionsAreWaitedFor, also at the start.
func TestTooManyConnectionsAreWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	var refused atomic.Int64
	greet := func() []byte {
		if refused.Add(1) <= 5 {
			return refusal(0, 1040, "")
		}
		return nil
	}
	r.onConnect.Store(&greet)
	s := openAt(t, through(newDatabase(t), r))
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil || refused.Load() < 6 {
		t.Errorf("after %d connections: %v", refused.Load(), err)
	}
}

// TestAnAnswerThatEndsAmidARowIsAskedForAgain: none is taken for whole.
func TestAnAnswerThatEndsAmidARowIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	s := openAt(t, through(newDatabase(t), r))
	const users = 50
	for i := range users {
		if _, err := s.Login(t.Context(), loginAs(fmt.Sprint("o", i), fmt.Sprint("s", i))); err != nil {
			t.Fatal(err)
		}
	}
	for _, after := range []int64{1, 4, 5, 100, 1500, 3000} {
		r.cutAfter.Store(after)
		if found, err := s.Users(t.Context(), 0, 1000); len(found) != users || err != nil {
			t.Errorf("an answer that ends after %d bytes: %d users, %v", after, len(found), err)
		}
		r.cutAfter.Store(after)
		if found, err := s.Revocations(t.Context(), 0, 1000); len(found) != 0 || err != nil {
			t.Errorf("an answer that ends after %d bytes: %d revocations, %v", after, len(found), err)
		}
	}
}

// TestASlowServerIsWorkedWith: each answer takes a tenth of a second.
func TestASlowServerIsWorkedWith(t *testing.T) {
	t.Parallel()
	r := newRelay(t)
	s := openAt(t, through(newDatabase(t), r))
	r.delay.Store(int64(100 * time.Millisecond))
	if in, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil || in.User.ID != 1 {
		t.Errorf("a login: user %d, %v", in.User.ID, err)
	}
	if _, err := s.Follow(t.Context(), 0, 10); err != nil {
		t.Errorf("following: %v", err)
	}
}

// TestAHostThatAnswersNothingDoesNotStopTheFeed: its packets are dropped, so not even connecting fails soon.
func TestAHostThatAnswersNothingDoesNotStopTheFeed(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	one := newRelay(t)
	hosts := fmt.Sprintf("root@tcp(%s,%s,%s)%s", one.listener.Addr(), deaf(t), deaf(t), dsn[strings.LastIndexByte(dsn, '/'):])
	s := openAt(t, hosts)
	for deadline := time.Now().Add(20 * time.Second); ; {
		start := time.Now()
		_, err := s.Follow(t.Context(), 0, 10)
		if took := time.Since(start); took > 2*followWait {
			t.Errorf("following took %v: %v", took, err)
		}
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("following never comes to the host that answers: %v", err)
		}
	}
}

// deaf is the address of a listener whose queue is full: the kernel drops whoever connects.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := name.(*unix.SockaddrInet4)
	if !ok {
		t.Fatalf("the socket has the address %v", name)
	}
	address := fmt.Sprintf("127.0.0.1:%d", at.Port)
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the queue of the listener never is full")
	return ""
}

// TestATableThatSomebodyLocksIsWaitedForBriefly: nothing that was given up goes on waiting in the server.
func TestATableThatSomebodyLocksIsWaitedForBriefly(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	s := openAt(t, dsn)
	name := dsn[strings.LastIndexByte(dsn, '/')+1:]
	locker, err := server.DB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer locker.Close()
	if _, err := locker.ExecContext(t.Context(), "LOCK TABLES "+name+".wxgate_users WRITE"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); !errors.Is(err, storage.ErrUnavailable) || time.Since(start) > patience+2*time.Second {
		t.Errorf("while the table is locked, after %v: %v, want ErrUnavailable", time.Since(start), err)
	}
	var waiting int
	const query = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = ? AND STATE LIKE 'Waiting%'"
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		if err := server.DB.QueryRowContext(t.Context(), query, name).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			break
		}
		<-time.After(50 * time.Millisecond)
	}
	if waiting > 0 {
		t.Errorf("%d statements that were given up wait for the table", waiting)
	}
	if _, err := locker.ExecContext(t.Context(), "UNLOCK TABLES"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Errorf("after the lock: %v", err)
	}
}

// TestAGatewayThatFreezesLocksNobodyOut: the locks of its transaction end before it goes on, and what it does then counts.
func TestAGatewayThatFreezesLocksNobodyOut(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	one, two := openAt(t, dsn), openAt(t, dsn)
	if _, err := one.Login(t.Context(), loginAs("oABC", "s1")); err != nil {
		t.Fatal(err)
	}
	frozen, thaw := make(chan struct{}), make(chan struct{})
	var attempts atomic.Int64
	var group sync.WaitGroup
	group.Go(func() {
		_, err := one.UpdateUser(t.Context(), 1, func(u *storage.User) error {
			if attempts.Add(1) == 1 {
				close(frozen)
				<-thaw
			}
			u.RecipeCount++
			return nil
		})
		if err != nil {
			t.Errorf("after it was frozen: %v", err)
		}
	})
	<-frozen
	start := time.Now()
	_, err := two.UpdateUser(t.Context(), 1, func(u *storage.User) error { u.RecipeCount++; return nil })
	if took := time.Since(start); err != nil || took > patience-time.Second {
		t.Errorf("beside a frozen gateway, after %v: %v", took, err)
	}
	close(thaw)
	group.Wait()
	if u, err := two.User(t.Context(), 1); err != nil || u.RecipeCount != 2 || attempts.Load() != 2 {
		t.Errorf("two changes are %d, after %d attempts of the frozen gateway (%v)", u.RecipeCount, attempts.Load(), err)
	}
}

// TestAServerThatClosesIdleConnectionsIsNotNoticed: wait_timeout is a second.
func TestAServerThatClosesIdleConnectionsIsNotNoticed(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s, err := Open(t.Context(), configOf(newDatabase(t)+"?wait_timeout=1"), registry, quiet(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 3 {
		if _, err := s.Login(t.Context(), loginAs("oABC", fmt.Sprint("s", i))); err != nil {
			t.Error(err)
		}
		if _, err := s.Follow(t.Context(), 0, 10); err != nil {
			t.Errorf("following: %v", err)
		}
		<-time.After(1500 * time.Millisecond)
	}
}

// TestAPasswordThatIsNotGoodAnyMoreIsUnavailable: a running gateway answers as for a database that is away, at once.
func TestAPasswordThatIsNotGoodAnyMoreIsUnavailable(t *testing.T) {
	t.Parallel()
	dsn := newDatabase(t)
	name := dsn[strings.LastIndexByte(dsn, '/')+1:]
	run := func(statement string) {
		t.Helper()
		if _, err := server.DB.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE USER of_" + name + " IDENTIFIED BY 'old-pass-word'; GRANT ALL ON " + name + ".* TO of_" + name)
	s := openAt(t, strings.Replace(dsn, "root@", "of_"+name+":old-pass-word@", 1))
	run("ALTER USER of_" + name + " IDENTIFIED BY 'new'")
	s.driver.db.SetMaxIdleConns(0) // the next operation connects
	start := time.Now()
	_, err := s.Login(t.Context(), loginAs("oABC", "s1"))
	if !errors.Is(err, storage.ErrUnavailable) || strings.Contains(fmt.Sprint(err), "pass-word") || time.Since(start) > patience/2 {
		t.Errorf("after %v: %v, want ErrUnavailable", time.Since(start), err)
	}
}
