package badger

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/prometheus/client_golang/prometheus"

	"wxgate/storage"
	"wxgate/storage/badger/disk"
)

func erase(t *testing.T, s *Store, id int64) []storage.Revocation {
	t.Helper()
	ended, err := s.EraseUser(t.Context(), id, time.Now(), time.Now().Add(time.Hour))
	must(t, err)
	return ended
}

// forget brings back an openid that was deleted, as a deletion that compaction forgets would.
func forget(t *testing.T, s *Store, openID string, id uint64) {
	t.Helper()
	must(t, s.driver.write(t.Context(), func(v *view) error {
		return v.put(openIDKey("wx1", openID), []byte{0, 0, 0, 0, 0, 0, 0, byte(id)})
	}))
}

func TestAForgottenDeletionBringsNobodyBack(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1")
	login(t, s, "oDEF", "s2")
	erase(t, s, 1)
	erase(t, s, 2)
	forget(t, s, "oABC", 1)
	forget(t, s, "oDEF", 2)
	if u := login(t, s, "oABC", "s3"); u.ID != 3 {
		t.Errorf("id of the person who came back: got %d, want 3", u.ID)
	}
	if got, err := s.ImportUsers(t.Context(), []storage.User{{ID: 9, AppID: "wx1", OpenID: "oDEF"}}); err != nil || got[0].Err != nil || got[0].User.ID != 9 {
		t.Errorf("import of the person who came back: got %+v, %v, want id 9", got, err)
	}
}

func TestAnOpenIDThatLeadsNowhereIsDamage(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1")
	forget(t, s, "oLost", 7)
	forget(t, s, "oWrong", 1)
	for _, openID := range []string{"oLost", "oWrong"} {
		if _, err := s.Login(t.Context(), loginAs(openID, "s2")); !errors.Is(err, storage.ErrDamaged) {
			t.Errorf("login of %s: got %v, want %v", openID, err, storage.ErrDamaged)
		}
	}
}

func TestAUserWithThousandsOfSessionsIsErased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	const sessions = endsPerCommit + 7
	manyLogins(t, s, sessions)
	if ended := erase(t, s, 1); len(ended) != sessions+1 || ended[sessions].Scope != storage.ScopeUser {
		t.Errorf("erasing: got %d revocations, want %d, the last of the user", len(ended), sessions+1)
	}
	must(t, s.Close())
	s = openIn(t, dir)
	if living, err := s.Sessions(t.Context(), 1, storage.SessionCursor{}, 1<<20); err != nil || len(living) > 0 {
		t.Errorf("sessions: got %d, %v, want none", len(living), err)
	}
}

// manyLogins logs one openid in n times, with ids as long as those of authn.
func manyLogins(t *testing.T, s *Store, n int) {
	t.Helper()
	var group sync.WaitGroup
	for caller := range 64 {
		group.Go(func() {
			for i := caller; i < n; i += 64 {
				login(t, s, "oABC", fmt.Sprintf("session-%014d", i))
			}
		})
	}
	group.Wait()
}

func TestACrowdOfSessionsLeavesOverSeveralLogins(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	manyLogins(t, s, endsPerCommit+7)
	for i, left := range []int{8, 1, 1} {
		l := loginAs("oABC", fmt.Sprint("new", i))
		l.MaxSessions = 1
		_, err := s.Login(t.Context(), l)
		must(t, err)
		if living, err := s.Sessions(t.Context(), 1, storage.SessionCursor{}, 1<<20); err != nil || len(living) != left {
			t.Errorf("sessions after login %d: got %d, %v, want %d", i, len(living), err, left)
		}
	}
}

// inOneBatch runs each of ops while the writer is held, so that they share one commit in their order.
func inOneBatch(t *testing.T, s *Store, ops ...func() error) {
	t.Helper()
	release := heldWriter(t, s)
	var group sync.WaitGroup
	for i, op := range ops {
		group.Go(func() {
			if err := op(); err != nil {
				t.Errorf("operation %d: %v", i, err)
			}
		})
		queued(t, s, i+1)
	}
	before := commits(t, s)
	release()
	group.Wait()
	if got := commits(t, s) - before; got != 1 {
		t.Errorf("commits: got %d, want 1", got)
	}
}

func TestErasureAndReturnInOneBatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	login(t, s, "oABC", "s1")
	logIn := func(sid string) func() error {
		return func() error { _, err := s.Login(t.Context(), loginAs("oABC", sid)); return err }
	}
	erase := func(id int64) func() error {
		return func() error {
			_, err := s.EraseUser(t.Context(), id, time.Now(), time.Now().Add(time.Hour))
			return err
		}
	}
	inOneBatch(t, s, logIn("s2"), erase(1), logIn("s3"), logIn("s4"), erase(2), logIn("s5"))
	must(t, s.Close())
	s = openIn(t, dir)
	users, err := s.Users(t.Context(), 0, 10)
	must(t, err)
	if len(users) != 1 || users[0].ID != 3 {
		t.Errorf("users: got %+v, want user 3 alone", users)
	}
	for id, want := range map[int64]int{1: 0, 2: 0, 3: 1} {
		if living, err := s.Sessions(t.Context(), id, storage.SessionCursor{}, 1<<20); err != nil || len(living) != want {
			t.Errorf("sessions of user %d: got %d, %v, want %d", id, len(living), err, want)
		}
	}
}

func TestNothingButMarkersIsLeftOfAnErasedUser(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1")
	erase(t, s, 1)
	must(t, s.driver.Read(t.Context(), func(r storage.Reader) error {
		v := r.(*view)
		if ring, err := v.get(numbered(prefixRing, 1)); err != nil || len(ring) > 0 {
			t.Errorf("ring: got %d bytes, %v, want none", len(ring), err)
		}
		if record, err := v.get(numbered(prefixUser, 1)); err != nil || strings.Contains(string(record), "oABC") {
			t.Errorf("record: got %s, %v, want no openid", record, err)
		}
		if devices := v.keys(devicePrefix(1), ""); len(devices) > 0 {
			t.Errorf("devices: got %q, want none", devices)
		}
		if openIDs := v.keys(string(prefixOpenID), ""); len(openIDs) > 0 {
			t.Errorf("openids: got %q, want none", openIDs)
		}
		return nil
	}))
}

func TestAMarkerStaysAsLongAsItsRevocation(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1") // lives for a week
	now := time.Now()
	for _, c := range []struct {
		sid         string
		until, kept time.Duration // from now on
	}{
		{"never was", time.Hour, time.Hour},
		{"s1", time.Hour, 7 * 24 * time.Hour},
		{"s1", 30 * 24 * time.Hour, 30 * 24 * time.Hour},
		{"s1", time.Hour, 30 * 24 * time.Hour}, // never shorter than before
	} {
		_, err := s.EndSession(t.Context(), c.sid, now, now.Add(c.until))
		must(t, err)
		must(t, s.driver.Read(t.Context(), func(r storage.Reader) error {
			v := r.(*view)
			marker, err := v.Session(c.sid)
			if got := marker.ExpiresAt.Sub(now).Round(time.Minute); got != c.kept {
				t.Errorf("%s revoked for %s: its marker is kept for %s, want %s", c.sid, c.until, got, c.kept)
			}
			return err
		}))
	}
}

func TestDeletedKeysAreNotListed(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	for _, sid := range []string{"a", "b", "c"} {
		login(t, s, "oABC", sid)
	}
	release := func(v *view, sid string) { v.delete(deviceKey(1, sid)) }
	must(t, s.driver.write(t.Context(), func(v *view) error { release(v, "a"); return nil }))
	must(t, s.driver.write(t.Context(), func(v *view) error {
		v.batch = map[string]pending{deviceKey(1, "b"): {gone: true}, deviceKey(1, "d"): {}, deviceKey(1, "e"): {}}
		release(v, "e")
		got := v.keys(devicePrefix(1), "")
		if want := []string{deviceKey(1, "c"), deviceKey(1, "d")}; !slices.Equal(got, want) {
			t.Errorf("keys: got %q, want %q", got, want)
		}
		if got := v.keys(devicePrefix(1), deviceKey(1, "d")); len(got) != 1 {
			t.Errorf("keys from the second on: got %q, want one", got)
		}
		return nil
	}))
}

func TestAKeyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	_, err := s.EndSession(t.Context(), strings.Repeat("s", 100_000), time.Now(), time.Now().Add(time.Hour))
	if err == nil || !strings.Contains(err.Error(), "at most 1024 are kept") {
		t.Errorf("ending a session with a long id: got %v, want a refusal", err)
	}
	login(t, s, "oABC", "s1")
}

// A kill may leave tables that a compaction had read, after it dropped deletions together with what they deleted.
func TestTablesThatCompactionLeftAreNoLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := openIn(t, dir)
	for i := range 20 {
		login(t, s, fmt.Sprint("o", i), fmt.Sprint("s", i))
	}
	must(t, s.Close())
	tables, err := filepath.Glob(filepath.Join(dir, dirBadger, "*.sst"))
	must(t, err)
	left := map[string][]byte{}
	for _, path := range tables {
		left[path], err = os.ReadFile(path)
		must(t, err)
	}
	s = openIn(t, dir)
	for id := range int64(20) {
		erase(t, s, id+1)
	}
	must(t, s.Close())
	compacted, err := badger.Open(newEngine(filepath.Join(dir, dirBadger), quiet()).options(false).WithCompactL0OnClose(true))
	must(t, err)
	must(t, compacted.Close())
	if foundInFiles(t, filepath.Join(dir, dirBadger), "\x03wx1o7") {
		t.Fatal("compaction kept the openid of an erased user: the test shows nothing")
	}
	for path, content := range left {
		if disk.Exists(path) {
			t.Fatalf("compaction kept %s: the test shows nothing", path)
		}
		must(t, os.WriteFile(path, content, 0o600))
	}
	s = openIn(t, dir)
	if u := login(t, s, "o7", "s"); u.ID != 21 {
		t.Errorf("id: got %d, want 21", u.ID)
	}
}

// childErases logs in and erases without end, from 16 callers, and prints the id of each user that was erased.
func childErases() {
	s, err := Open(configIn(os.Getenv(dirEnv)), prometheus.NewRegistry(), quiet(), time.Now)
	if err != nil {
		fmt.Println("error", err)
		return
	}
	acks := make(chan string)
	for caller := range 16 {
		go func() {
			for i := 0; ; i++ {
				acks <- loginAndErase(s, fmt.Sprintf("o-%d-%d", caller, i%7), fmt.Sprintf("s-%d-%d-%d", os.Getpid(), caller, i))
			}
		}()
	}
	for ack := range acks {
		fmt.Println(ack)
	}
}

// loginAndErase erases every other user that it logs in.
func loginAndErase(s *Store, openID, sid string) string {
	ctx := context.Background()
	in, err := s.Login(ctx, loginAs(openID, sid))
	if err != nil {
		return "error " + err.Error()
	}
	if in.User.ID%2 == 0 {
		return fmt.Sprint("kept ", in.User.ID)
	}
	if _, err := s.EraseUser(ctx, in.User.ID, time.Now(), time.Now().Add(time.Hour)); err != nil {
		return "error " + err.Error()
	}
	return fmt.Sprint("erased ", in.User.ID)
}

func TestWhoWasErasedStaysErasedAfterKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fate := map[int64]string{}
	for range 5 {
		erasuresUntilKilled(t, dir, 1+rand.N(1500), fate)
		s := openIn(t, dir)
		wantFates(t, s, fate)
		must(t, s.Close())
	}
	t.Log(len(fate), "users")
}

// erasuresUntilKilled kills a child that erases after so many answers, and notes what became of which user.
func erasuresUntilKilled(t *testing.T, dir string, answers int, fate map[int64]string) {
	t.Helper()
	c := newChild(t, "erases", dir)
	for n := 0; c.lines.Scan(); n++ {
		if n == answers {
			_ = c.cmd.Process.Kill() // what the child printed before is still read
		}
		what, number, _ := strings.Cut(c.lines.Text(), " ")
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			if n > answers { // a line that the kill has cut
				break
			}
			t.Fatalf("child: %s", c.lines.Text())
		}
		fate[id] = what
	}
	c.kill()
}

// wantFates checks that the erased are gone, with their sessions, and that the others are there.
func wantFates(t *testing.T, s *Store, fate map[int64]string) {
	t.Helper()
	for id, what := range fate {
		u, err := s.User(t.Context(), id)
		if what == "kept" && err != nil || what == "erased" && !errors.Is(err, storage.ErrNotFound) {
			t.Fatalf("user %d, who was %s: got %+v, %v", id, what, u, err)
		}
		living, err := s.Sessions(t.Context(), id, storage.SessionCursor{}, 1<<20)
		if err != nil || what == "erased" && len(living) > 0 || what == "kept" && len(living) == 0 {
			t.Fatalf("sessions of user %d, who was %s: got %d, %v", id, what, len(living), err)
		}
		if what == "kept" && login(t, s, u.OpenID, cryptorand.Text()).ID != id {
			t.Fatalf("user %d is not found by openid", id)
		}
	}
}
