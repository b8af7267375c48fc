package badger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"wxgate/storage"
)

// endsPerCommit is how many sessions of one user end in one transaction.
const endsPerCommit = 256

// heldWriter keeps the writer of s busy until release is called, so that what comes meanwhile shares one commit.
func heldWriter(t *testing.T, s *Store) (release func()) {
	t.Helper()
	began, held := make(chan struct{}), make(chan struct{})
	go func() {
		_ = s.driver.write(t.Context(), func(*view) error {
			close(began)
			<-held
			return nil
		})
	}()
	<-began
	return func() { close(held) }
}

// queued waits until n operations wait for the writer.
func queued(t *testing.T, s *Store, n int) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); len(s.driver.queue) < n; {
		if time.Now().After(deadline) {
			t.Fatalf("queued operations: got %d, want %d", len(s.driver.queue), n)
		}
	}
}

func TestAFailureDoesNotSpoilItsNeighboursInTheBatch(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	release := heldWriter(t, s)
	var group sync.WaitGroup
	failed := make(chan error, 20)
	for i := range 20 {
		l := loginAs(fmt.Sprint("o", i), fmt.Sprint("s", i))
		if i%2 == 1 {
			l.Change = func(*storage.User) error { panic("oops") }
		}
		group.Go(func() {
			if _, err := s.Login(t.Context(), l); err != nil {
				failed <- err
			}
		})
	}
	queued(t, s, 20)
	before := commits(t, s)
	release()
	group.Wait()
	if got := commits(t, s) - before; got != 1 {
		t.Errorf("commits: got %d, want 1", got)
	}
	if len(failed) != 10 {
		t.Errorf("failed logins: got %d, want 10", len(failed))
	}
	for id := int64(1); id <= 10; id++ {
		if _, err := s.User(t.Context(), id); err != nil {
			t.Errorf("user %d: %v", id, err)
		}
	}
	if _, err := s.User(t.Context(), 11); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("user 11: got %v, want %v", err, storage.ErrNotFound)
	}
}

func commits(t *testing.T, s *Store) (n uint64) {
	t.Helper()
	must(t, s.driver.Read(t.Context(), func(r storage.Reader) error {
		v := r.(*view)
		c, err := v.counters()
		n = c.Commits
		return err
	}))
	return n
}

func TestLargeOperationsAreSpreadOverTransactions(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	release := heldWriter(t, s)
	var group sync.WaitGroup
	bio := strings.Repeat("b", 60<<10)
	for i := range 64 {
		l := loginAs(fmt.Sprint("o", i), fmt.Sprint("s", i))
		l.Change = func(u *storage.User) error { u.Bio = bio; return nil }
		group.Go(func() {
			if _, err := s.Login(t.Context(), l); err != nil {
				t.Error(err)
			}
		})
	}
	queued(t, s, 64)
	release()
	group.Wait()
}

func TestARecordThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	id := login(t, s, "oABC", "s1").ID
	_, err := s.UpdateUser(t.Context(), id, func(u *storage.User) error {
		u.Bio = strings.Repeat("b", maxPayloadSize)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "at most 524288 are kept") {
		t.Errorf("a bio of 512 KB: got %v, want a refusal", err)
	}
	login(t, s, "oABC", "s2")
}

func TestACallerWhoseContextEndsDoesNotWait(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	release := heldWriter(t, s)
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := s.Login(ctx, loginAs("oABC", "s1")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("login behind a held writer: got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestThousandsOfSessionsEndAndOthersWriteInBetween(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	const sessions = 8 * endsPerCommit
	var group sync.WaitGroup
	for caller := range 64 {
		group.Go(func() {
			for i := caller; i < sessions; i += 64 {
				login(t, s, "oABC", fmt.Sprint("s", i))
			}
		})
	}
	group.Wait()
	ctx, cancel := context.WithCancel(t.Context())
	began, others := make(chan struct{}), make(chan []uint64)
	go func() { others <- writeUntil(ctx, s, began) }()
	<-began
	ended, err := s.EndSessions(t.Context(), 1, time.Now(), time.Now().Add(time.Hour))
	cancel()
	if err != nil || len(ended) != sessions {
		t.Fatalf("ending %d sessions: got %d, %v", sessions, len(ended), err)
	}
	between := 0
	for _, seq := range <-others {
		if seq > ended[0].Seq && seq < ended[sessions-1].Seq {
			between++
		}
	}
	if between == 0 {
		t.Error("nobody else wrote while the sessions ended, want them to take turns")
	}
}

// writeUntil writes until ctx ends and returns the Seq of each; began is closed after the first.
func writeUntil(ctx context.Context, s *Store, began chan struct{}) (seqs []uint64) {
	for {
		recorded, err := s.Revoke(context.WithoutCancel(ctx), storage.Revocation{Scope: storage.ScopeToken, ID: "t"})
		if err != nil || ctx.Err() != nil {
			return seqs
		}
		if seqs = append(seqs, recorded[0].Seq); len(seqs) == 1 {
			close(began)
		}
	}
}

func TestAFailedCommitEndsWriting(t *testing.T) {
	t.Parallel()
	s := openIn(t, t.TempDir())
	login(t, s, "oABC", "s1")
	// A transaction of a closed Badger waits for the last commit to be seen, for ever if that was not before.
	must(t, s.driver.engine.transaction(false, func(*badger.Txn) error { return nil }))
	must(t, s.driver.engine.db.Close()) // pulled away: the next commit fails
	for range 2 {
		if _, err := s.Login(t.Context(), loginAs("oDEF", "s2")); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("login: got %v, want %v", err, storage.ErrUnavailable)
		}
	}
}

// TestEveryCommitIsSynced stands for the loss of power, which no test can bring about: what is synced before it is
// acknowledged survives it.
func TestEveryCommitIsSynced(t *testing.T) {
	t.Parallel()
	if !newEngine(t.TempDir(), quiet()).options(false).SyncWrites {
		t.Error("commits are acknowledged before they are on the disk")
	}
}
